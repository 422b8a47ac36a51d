//! What a trainer does with what the guard finds: it goes back, or gives up.

use super::journal::Journal;
use super::observer::Event;
use super::trainer::Trainer;
use crate::error::Result;
use crate::run::{Divergence, checkpoint};

impl Trainer {
    /// Reads the guard's flags when they are due; before something is kept or shown they are
    /// judged, but left as they are.
    pub(super) fn guarded(&mut self) -> Option<Divergence> {
        let (step, train) = (self.state.step, &self.experiment.train);
        let parameters = self.state.model.parameters();
        if self.state.guard.is_due(step) {
            return self.state.guard.look(step, parameters);
        }
        let kept = step.is_multiple_of(train.checkpoint_every) || step == train.steps;
        let shown = [self.experiment.report.every, self.experiment.evaluate.every];
        if kept || shown.iter().any(|n| *n > 0 && step.is_multiple_of(*n)) {
            self.state.guard.judge_now(step, parameters)
        } else {
            None
        }
    }

    /// Goes back to the last good checkpoint with another sampler seed and a lower learning rate; false when that was tried too often.
    pub(super) fn roll_back(&mut self, divergence: Divergence, journal: &mut Journal) -> Result<bool> {
        let mut divergences = std::mem::take(&mut self.state.divergences);
        divergences.push(divergence.clone());
        let lr_scale = self.state.lr_scale * self.experiment.guard.lr_factor;
        let tries = divergences.len() as u32;
        if tries > self.experiment.guard.max_rollbacks {
            self.state.divergences = divergences;
            journal.happened(&Event::GaveUp { divergence })?;
            return Ok(false);
        }
        // What diverged again from the same checkpoint goes back behind it.
        let before = self.went_back_to.filter(|s| Some(*s) == self.saved_at && *s > 0);
        let (mut found, passed_over) = checkpoint::latest(&self.run, before.unwrap_or(u64::MAX))?;
        if found.is_none() && before.is_some() {
            found = checkpoint::latest(&self.run, u64::MAX)?.0;
        }
        for error in passed_over {
            journal.happened(&Event::PassedOver(error))?;
        }
        self.take(found)?;
        self.went_back_to = self.saved_at;
        self.state.guard.forgive();
        self.state.divergences = divergences;
        self.state.lr_scale = lr_scale;
        self.state.streams.sampler = self.state.streams.sampler.derive(tries.into());
        journal.happened(&Event::RolledBack {
            divergence,
            to: self.state.step,
            lr_scale,
        })?;
        Ok(true)
    }

    /// Whether the guard would find nothing wrong now.
    pub(super) fn is_good(&self) -> bool {
        let judged = self
            .state
            .guard
            .judge_now(self.state.step, self.state.model.parameters());
        judged.is_none()
    }
}
