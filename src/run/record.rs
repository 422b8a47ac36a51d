//! The part of a run's state that is not tensors, and what numbers it can hold: others were not
//! written by a run.

use serde::{Deserialize, Serialize};

use super::divergence::Divergence;
use super::guard_state::GuardState;
use super::labelled_state::LabelledState;
use crate::data::BatchesState;
use crate::experiment::Experiment;
use crate::rng::Stream;

/// The independent sources of randomness of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Augmentation and noise of data.
    pub data: Stream,
    /// Which chains are drawn and where fresh ones start.
    pub buffer: Stream,
    /// The noise of chains.
    pub sampler: Stream,
    /// Dropout of the live network.
    pub network: Stream,
    /// What terms of the objective draw; checkpoints of earlier versions have none.
    #[serde(default = "unused")]
    pub objective: Stream,
}

/// The stream of a run whose terms drew nothing, until the run's own takes its place.
fn unused() -> Stream {
    Stream::new(0, "unused")
}

/// The part of the state that is not tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(crate) streams: Streams,
    pub(crate) batches: BatchesState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labelled: Option<LabelledState>,
    pub(crate) meters: u64,
    /// Of these the steps with chains; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain_meters: Option<u64>,
    pub(crate) guard: GuardState,
    pub(crate) lr_scale: f64,
    pub(crate) divergences: Vec<Divergence>,
    pub(crate) seconds: f64,
}

impl Record {
    /// Checks every number of the record of a checkpoint of `step`.
    ///
    /// # Errors
    /// Names the first that is out of its range.
    pub(super) fn check(&self, e: &Experiment, step: u64) -> Result<(), String> {
        let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
        ensure(
            self.lr_scale > 0.0 && self.lr_scale <= 1.0,
            format!("lr_scale is {}, expected a number above 0, at most 1", self.lr_scale),
        )?;
        ensure(
            self.seconds.is_finite() && self.seconds >= 0.0,
            format!("seconds is {}, expected 0 or more", self.seconds),
        )?;
        ensure(
            self.meters <= step && self.chain_meters.is_none_or(|n| n <= self.meters),
            format!("meters counts {} steps, of {step} made", self.meters),
        )?;
        ensure(
            self.divergences.len() <= e.guard.max_rollbacks as usize,
            format!(
                "divergences has {} entries, guard.max_rollbacks is {}",
                self.divergences.len(),
                e.guard.max_rollbacks
            ),
        )?;
        self.guard.check(e.guard.grad_norm_patience)?;
        self.batches.check(step, e.train.batch_size)?;
        self.labelled.iter().try_for_each(|l| l.check(e, step))?;
        ensure(
            self.labelled.is_some() == e.uses_labels(),
            "labelled is there without labels in the objective, or missing with them".to_owned(),
        )?;
        self.check_streams(e)
    }

    /// The streams are those of the run's seed; the chains' is another one after each divergence.
    fn check_streams(&self, e: &Experiment) -> Result<(), String> {
        let own = |stream: &Stream, name: &str| match stream.is_of(&Stream::new(e.seed, name)) {
            true => Ok(()),
            false => Err(format!("streams.{name} is not of the seed {} of the run", e.seed)),
        };
        own(&self.streams.data, "data")?;
        own(&self.streams.buffer, "buffer")?;
        own(&self.streams.network, "network")?;
        if self.streams.objective != unused() {
            own(&self.streams.objective, "objective")?;
        }
        if self.divergences.is_empty() {
            own(&self.streams.sampler, "sampler")?;
        }
        Ok(())
    }
}
