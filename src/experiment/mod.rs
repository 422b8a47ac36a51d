//! An experiment file: what decides a run, its checks across sections, and what may change on resume.

mod check;
mod check_levels;
mod check_model;
mod check_objective;
mod check_optimizer;
mod check_sampler;
mod check_space;
mod file;
pub mod legacy;
pub mod memory;
mod places;
mod resume;
mod training;

pub use file::{Experiment, SpaceConfig};
pub use resume::MAY_CHANGE;
pub use training::{GuardConfig, ReportConfig, Statistics, TrainConfig, TrainPrecision};
