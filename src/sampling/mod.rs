//! Markov chains that draw images from an energy.

mod chain;
mod config;
pub mod diagnostics;
mod gaussians;
mod graph;
mod kernel;
mod langevin;
mod precision;
mod runner;
mod schedule;
mod start;
mod synthesis;

pub use chain::{ChainOutput, run_chain, run_chain_watched};
pub use config::{
    ChainSchedule, CudaGraph, GradClip, InitialDistribution, InnerConfig, Layout, NetworkMode, Precision,
    SamplerConfig, StepPart,
};
pub use gaussians::ClassGaussians;
pub use kernel::{ChainState, Kernel, StepInfo};
pub use langevin::Langevin;
pub use precision::{Candidate, chain_energy, kind_of, layout_of, mode_of, resolve_auto, score_energy};
pub use runner::ChainRunner;
pub(crate) use runner::WARM_UP;
pub use start::Starter;
pub use synthesis::{Length, Synthesis, Target, captions, captions_of, halfway};
