//! Factors that change along a chain.

use super::config::ChainSchedule;

impl ChainSchedule {
    /// The factor of step `k` (from 0) of `n_steps`: 1 at the first, `end` at the last, and `end` for any step beyond.
    pub fn factor(&self, k: usize, n_steps: usize) -> f64 {
        let last = n_steps.saturating_sub(1);
        let t = if last == 0 {
            0.0
        } else {
            k.min(last) as f64 / last as f64
        };
        match *self {
            ChainSchedule::Constant => 1.0,
            ChainSchedule::Linear { end } => 1.0 + (end - 1.0) * t,
            ChainSchedule::Geometric { end } => end.powf(t),
            ChainSchedule::Polynomial { end, power } => end + (1.0 - end) * (1.0 - t).powf(power),
        }
    }
}
