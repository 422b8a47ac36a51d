//! What a run tells to whoever watches it, and how it ends.

use serde::Serialize;

use super::monitor::Quality;
use crate::error::Error;
use crate::run::Divergence;

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
    /// The quality monitor measured the run.
    Looked {
        /// The step.
        step: u64,
        /// What it found, by name.
        quality: Quality,
    },
}

/// What is made once a run is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// The final grid, at a step of its chains.
    Images {
        /// Steps made.
        step: u64,
        /// Steps in all.
        of: u64,
    },
    /// The energies of the out-of-distribution table.
    Energies,
}

/// Who is told how a run goes, as a progress bar is; the run writes its own records.
pub trait Observer {
    /// A step was made.
    fn stepped(&mut self, _step: u64) {}
    /// A line of metrics was written.
    fn logged(&mut self, _line: &LogLine) {}
    /// Something happened.
    fn happened(&mut self, _event: &Event) {}
    /// Something is made of the finished run.
    fn making(&mut self, _what: &Making) {}
}

/// Nobody.
impl Observer for () {}

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
