//! An experiment file: what decides a run, its checks across sections, and what may change on resume.

mod check;
mod check_objective;
mod check_optimizer;
mod check_sampler;
mod file;
mod legacy;
pub mod memory;
mod places;
mod resume;
mod training;

pub use file::Experiment;
pub use resume::MAY_CHANGE;
pub use training::{GuardConfig, ReportConfig, TrainConfig, TrainPrecision};
