//! What a user writes: experiment and architecture files as plain types, and the checks that need no tensor.

mod bounds;
mod check;
mod check_objective;
mod check_optimizer;
mod check_sampler;
mod data;
mod experiment;
mod legacy;
mod model;
mod objective;
mod optimizer;
mod places;
mod resume;
mod sampler;
mod train;
pub mod yaml;

pub use data::{Augment, DataConfig, Dataset, FitRule, FolderConfig, StackConfig, StrokesConfig};
pub use experiment::Experiment;
pub use model::{
    Conv, Init, Layer, Linear, ModelConfig, Norm, Normalize, Output, Pool, Repeat, Residual, SpectralNorm, Subsample,
};
pub use objective::{Chains, Negatives, ObjectiveConfig, Statistics};
pub use optimizer::{Algorithm, LrSchedule, OptimizerConfig, ParamClip, SamConfig};
pub use resume::MAY_CHANGE;
pub use sampler::{
    BufferConfig, ChainSchedule, ColourJitter, GradClip, InitialDistribution, InnerConfig, Layout, NetworkMode,
    Precision, Replacement, ReplayAugment, SamplerConfig, StepPart, Storage,
};
pub use train::{CudaGraph, Evaluate, GuardConfig, Measure, OodSet, ReportConfig, TrainConfig, TrainPrecision};
