//! Markov chains that draw states from an energy.

mod chain;
mod config;
pub mod diagnostics;
mod dial;
mod gaussians;
mod hamiltonian;
pub mod importance;
mod kernel;
pub mod kernels;
mod metropolis;
mod positions;
mod recorded_chain;
pub(crate) mod recovered;
pub mod replay;
mod rungs;
mod scales;
mod spacing;
mod start;
mod synthesis;
mod warm_up;

pub use chain::{Both, ChainOutput, Watch, run_chain, run_chain_watched};
pub use config::{ChainClasses, CudaGraph, InitialDistribution, NetworkMode, SamplerConfig, Start};
pub use gaussians::ClassGaussians;
pub use kernel::{ChainState, Facts, GraphStep, Kernel, Needs, StepInfo};
pub use kernels::{ChainSchedule, GradClip, InnerConfig, KernelConfig, Langevin, LangevinConfig, StepPart};
pub use positions::Positions;
pub use recorded_chain::ChainRunner;
pub(crate) use recorded_chain::WARM_UP;
pub use start::Starter;
pub use synthesis::{Length, Synthesis, Target, WatchBatches, captions, captions_of};
pub use warm_up::{WarmUp, WarmUpConfig};
