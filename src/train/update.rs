//! The update that follows from the loss of a step.

use tch::{Kind, Tensor};

use super::trainer::Trainer;
use crate::energy::marginal;
use crate::nn::Mode;
use crate::objective::{Inputs, Loss, name};
use crate::sampling::replay::ReplayBuffer;

impl Trainer {
    /// Energies, the loss, its gradient, the update; numbers stay on the device.
    pub(super) fn update(&mut self, inputs: &Inputs) {
        self.prepare(inputs);
        let mut recorder = std::mem::take(&mut self.recorder);
        recorder.run(inputs, self.device, &mut |inputs| self.device_part(inputs));
        self.recorder = recorder;
    }

    /// The host's part of an update: what is counted, and the numbers that change from step to step.
    fn prepare(&mut self, inputs: &Inputs) {
        let s = &mut self.state;
        self.step_in_work = s.step;
        s.optimizer.prepare(self.schedule.lr(s.step) * s.lr_scale);
        if let Some(ema) = &mut s.ema {
            ema.prepare();
        }
        if let Some(ema) = &mut s.terms_ema {
            ema.prepare();
        }
        s.meters.count(has_chains(inputs));
        // Once a step: the passes of a step draw one after another.
        s.streams.network.seed_next();
    }

    /// The device's part, the same operations on the same memory at every step with such inputs; it takes nothing from
    /// the host that changes, so that it can be recorded.
    fn device_part(&mut self, inputs: &Inputs) {
        self.state.optimizer.zero_grad();
        let loss = self.loss(inputs, Mode::Train);
        loss.value.backward();
        if self.state.sam.is_some() {
            self.sharpen(inputs);
        }
        let s = &mut self.state;
        let norm = s.optimizer.clip_prepared();
        s.optimizer.step_prepared();
        if let Some(ema) = &mut s.ema {
            ema.update_prepared(s.model.parameters());
        }
        if let Some(ema) = &mut s.terms_ema {
            ema.update_prepared(&s.terms.parameters());
        }
        if self.runs_chains {
            self.frozen.refresh(&*s.model);
        }
        s.guard.watch(&loss.watched, &loss.value, &norm);
        self.note(inputs, loss, norm);
    }

    /// Replaces the gradient by that at the worst weights nearby: a second pass on the same inputs that records nothing.
    fn sharpen(&mut self, inputs: &Inputs) {
        if let Some(sam) = &mut self.state.sam {
            sam.climb();
        }
        self.state.optimizer.zero_grad();
        self.loss(inputs, Mode::TrainFrozenStats).value.backward();
        if let Some(sam) = &mut self.state.sam {
            sam.descend();
        }
    }

    /// The loss of one pass. Where no term looks at energies, those of labelled states are watched and
    /// reported: what every step shows of data.
    fn loss(&self, inputs: &Inputs, mode: Mode) -> Loss {
        let passes = self.passes(inputs, mode);
        let mut loss = self.state.terms.loss(self.step_in_work, &passes, inputs);
        let Some(logits) = passes.labelled_logits() else {
            return loss;
        };
        let energy = marginal(&logits.detach());
        if loss.parts.iter().all(|(name, _)| *name != "energy_pos") {
            loss.parts.push(("energy_pos", energy.mean(Kind::Float)));
        }
        if loss.watched.is_empty() {
            loss.watched.push(energy);
        }
        loss
    }

    /// Adds the step's numbers to the meters.
    fn note(&mut self, inputs: &Inputs, loss: Loss, norm: Tensor) {
        let s = &mut self.state;
        let mut values = loss.parts;
        if let Some(chain_norm) = inputs.get(name::CHAIN_GRAD_NORM) {
            let (age, reuse) = match s.buffer.as_ref().map(ReplayBuffer::stats) {
                Some(stats) => (stats.mean_age, stats.mean_reuse),
                None => (norm.zeros_like(), norm.zeros_like()),
            };
            values.extend([
                (name::CHAIN_GRAD_NORM, chain_norm.shallow_clone()),
                ("buffer_age", age),
                ("buffer_reuse", reuse),
            ]);
        }
        let accept = inputs.get(name::ACCEPTANCE).map(Tensor::shallow_clone);
        values.extend(accept.map(|accept| (name::ACCEPTANCE, accept)));
        values.extend([("loss", loss.value), ("grad_norm", norm)]);
        s.meters.add(&values, has_chains(inputs));
    }
}

/// Whether chains ran for a step.
fn has_chains(inputs: &Inputs) -> bool {
    inputs.get(name::NEGATIVES).is_some()
}
