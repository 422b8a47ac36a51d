//! Where the labelled batches of a run stand, as a checkpoint holds it.

use serde::{Deserialize, Serialize};

use crate::data::BatchesState;
use crate::experiment::Experiment;
use crate::rng::Stream;

/// Where the labelled batches stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledState {
    pub(crate) batches: BatchesState,
    pub(crate) stream: Stream,
}

impl LabelledState {
    /// Whether labelled batches can have come to it.
    ///
    /// # Errors
    /// Says what they never hold.
    pub(super) fn check(&self, e: &Experiment, steps: u64) -> std::result::Result<(), String> {
        let size = e.train.labelled_batch();
        self.batches
            .check(steps, size)
            .map_err(|what| format!("labelled {what}"))
    }
}
