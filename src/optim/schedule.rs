//! The learning rate as a function of the step.

use std::f64::consts::PI;

use super::config::{LrSchedule, OptimizerConfig};

/// Linear warm-up times a constant, step-wise, exponential or cosine factor; it keeps no state.
#[derive(Debug, Clone)]
pub struct Schedule {
    lr: f64,
    warmup: u64,
    shape: LrSchedule,
    total: u64,
}

impl Schedule {
    /// The schedule of a run of `total_steps`.
    pub fn new(cfg: &OptimizerConfig, total_steps: u64) -> Self {
        Self {
            lr: cfg.lr,
            warmup: cfg.warmup,
            shape: cfg.schedule.clone(),
            total: total_steps,
        }
    }

    /// The learning rate of the update that follows `step` updates: `lr(0)` is for the first.
    ///
    /// Milestones are steps of the run; the exponential and the cosine begin when the warm-up ends.
    pub fn lr(&self, step: u64) -> f64 {
        let warm = match step < self.warmup {
            true => (step + 1) as f64 / self.warmup as f64,
            false => 1.0,
        };
        let after = step.saturating_sub(self.warmup);
        let factor = match &self.shape {
            LrSchedule::Constant => 1.0,
            LrSchedule::Step { milestones, gamma } => {
                let passed = milestones.iter().filter(|m| **m <= step).count();
                gamma.powf(passed as f64)
            }
            LrSchedule::Exponential { gamma, every } => gamma.powf((after / every) as f64),
            LrSchedule::Cosine { end } => {
                let length = self.total.saturating_sub(self.warmup).max(1);
                let done = after.min(length) as f64 / length as f64;
                end + (1.0 - end) * (1.0 + (PI * done).cos()) / 2.0
            }
        };
        self.lr * warm * factor
    }
}
