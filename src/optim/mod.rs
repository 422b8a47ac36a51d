//! Optimisers whose state has names, gradient clipping, learning-rate schedules, the moving average
//! of the weights, and sharpness-aware minimisation.

mod config;
mod ema;
mod formulas;
mod optimizer;
mod sam;
mod schedule;

pub use config::{Algorithm, LrSchedule, OptimizerConfig, ParamClip, SamConfig};
pub use ema::Ema;
pub use optimizer::Optimizer;
pub use sam::Sam;
pub use schedule::Schedule;
