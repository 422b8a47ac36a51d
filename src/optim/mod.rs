//! Optimisers whose state has names, gradient clipping, learning-rate schedules, and the moving average of the weights.

mod ema;
mod optimizer;
mod schedule;

pub use ema::Ema;
pub use optimizer::Optimizer;
pub use schedule::Schedule;
