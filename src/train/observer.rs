//! What a run tells to whoever watches it, and how it ends.

use serde::Serialize;

use super::guard::Divergence;
use super::trainer::Trainer;
use crate::error::{Error, Result};

/// One line of metrics: means over the steps since the last one.
#[derive(Debug, Clone, Serialize)]
pub struct LogLine {
    /// Updates made so far.
    pub step: u64,
    /// Name and value, in the order in which they are shown.
    pub values: Vec<(&'static str, f64)>,
}

/// What happens in a run apart from its metrics.
#[derive(Debug)]
pub enum Event {
    /// A checkpoint was written.
    Saved {
        /// Its step.
        step: u64,
    },
    /// The run diverged and goes on from an earlier step.
    RolledBack {
        /// What was seen.
        divergence: Divergence,
        /// The step it goes on from.
        to: u64,
        /// What the learning rate is multiplied by from now on.
        lr_scale: f64,
    },
    /// The run diverged once more than it may, and ends.
    GaveUp {
        /// What was seen.
        divergence: Divergence,
    },
    /// The run computes in another way than it was meant to; the numbers are as good.
    Notice(String),
    /// A damaged checkpoint was passed over.
    PassedOver(Error),
}

/// Who watches a run: it writes metrics and pictures, shows progress, and judges by validation.
pub trait Observer {
    /// A step was made.
    fn stepped(&mut self, step: u64);
    /// A line of metrics is due.
    fn logged(&mut self, line: &LogLine) -> Result<()>;
    /// Something happened.
    fn happened(&mut self, event: &Event) -> Result<()>;
    /// Called after each step; a validation metric that was measured comes back, by name (higher is better).
    ///
    /// Also called before the first step of a run that goes on from a checkpoint, since a kill may
    /// have come between the checkpoint and the call that followed it: what was recorded then is
    /// not measured again, but given back.
    fn inspect(&mut self, trainer: &Trainer) -> Result<Option<(String, f64)>>;
}

/// How training ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps were made.
    Finished,
    /// Somebody asked for a stop.
    Interrupted {
        /// Whether it was: a state that the guard finds fault with is not.
        saved: bool,
    },
    /// It diverged more often than `guard.max_rollbacks` allows.
    Diverged,
}
