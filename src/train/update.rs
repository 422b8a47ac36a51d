//! The passes that are differentiated in the parameters, and the update that follows from them.

use tch::{Kind, Tensor};

use super::batch::{Batch, ChainClass, Synthesised};
use super::trainer::Trainer;
use crate::buffer::ReplayBuffer;
use crate::energy::{Energy, LiveEnergy, marginal};
use crate::experiment::TrainPrecision;
use crate::nn::Mode;
use crate::objective::Statistics;
use crate::objective::{JointLoss, Terms, entropy_term, kl_term};
use crate::sampling;

/// What a pass over a batch gave.
struct Pass {
    out: JointLoss,
    /// Energies that the guard watches, `[B]` each.
    energies: Vec<Tensor>,
}

impl Trainer {
    /// Energies, the loss, its gradient, the update; numbers stay on the device.
    pub(super) fn update(&mut self, batch: &Batch) {
        self.prepare(batch);
        let mut recorder = std::mem::take(&mut self.recorder);
        recorder.run(batch, self.device, &mut |batch| self.launch(batch));
        self.recorder = recorder;
    }

    /// The host's part of an update: what is counted, and the numbers that change from step to step.
    fn prepare(&mut self, batch: &Batch) {
        let s = &mut self.state;
        s.optimizer.prepare(self.schedule.lr(s.step) * s.lr_scale);
        if let Some(ema) = &mut s.ema {
            ema.prepare();
        }
        s.meters.count(batch.negative.is_some());
        // Once a step: the passes of a step draw one after another.
        s.streams.network.arm();
    }

    /// The device's part, the same operations on the same memory at every step with such a batch; it takes nothing from
    /// the host that changes, so that it can be recorded.
    fn launch(&mut self, batch: &Batch) {
        self.state.optimizer.zero_grad();
        let pass = self.pass(batch, Mode::Train);
        pass.out.loss.backward();
        if self.state.sam.is_some() {
            self.sharpen(batch);
        }
        let s = &mut self.state;
        let norm = s.optimizer.clip_prepared();
        s.optimizer.step_prepared();
        if let Some(ema) = &mut s.ema {
            ema.update_prepared(s.network.parameters());
        }
        if self.experiment.objective.uses_chains() {
            self.frozen.refresh(&s.network);
        }
        s.guard.watch(&pass.energies, &pass.out.loss, &norm);
        self.note(batch, pass.out, norm);
    }

    /// Replaces the gradient by that at the worst weights nearby: a second pass on the same batch that records nothing.
    fn sharpen(&mut self, batch: &Batch) {
        if let Some(sam) = &mut self.state.sam {
            sam.climb();
        }
        self.state.optimizer.zero_grad();
        self.pass(batch, Mode::TrainUnrecorded).out.loss.backward();
        if let Some(sam) = &mut self.state.sam {
            sam.descend();
        }
    }

    /// One pass over everything that the objective uses.
    fn pass(&mut self, batch: &Batch, mode: Mode) -> Pass {
        let terms = self.terms(batch, mode);
        let mut energies: Vec<Tensor> = terms.marginal.iter().flatten().map(Tensor::shallow_clone).collect();
        energies.extend(terms.pairs.iter().flatten().map(Tensor::shallow_clone));
        if let (Some([logits, _]), true) = (&terms.labelled, energies.is_empty()) {
            energies.push(marginal(logits));
        }
        Pass {
            out: self.objective.loss(&terms),
            energies,
        }
    }

    /// The terms of the objective; data come before synthesised images, and these before labelled ones.
    fn terms(&self, batch: &Batch, mode: Mode) -> Terms {
        let (live, synthetic) = (self.live(mode), self.live(self.mode_of_chains(mode)));
        let [positive, negative, labelled] = self.raws(batch, &live, &synthetic);
        let negative = batch.negative.as_ref().zip(negative);
        let mut terms = Terms::default();
        if let (Some((x, raw)), Some((n, raw_n))) = (batch.positive.as_ref().zip(positive), &negative) {
            let neg = synthetic.energy_of(raw_n.shallow_clone(), &n.x);
            terms.marginal = Some([live.energy_of(raw, x), neg]);
        }
        if let Some(n) = &batch.negative {
            self.improve(n, &mut terms);
        }
        let Some(([x, classes], logits)) = batch.labelled.as_ref().zip(labelled) else {
            return terms;
        };
        if let (true, Some((n, raw))) = (self.experiment.objective.uses_pairs(), &negative) {
            let chosen = n.class.of(raw).expect("chains of pairs have a class");
            terms.pairs = Some([
                live.joint_of(&logits, classes, x),
                synthetic.joint_of(raw, &chosen, &n.x),
            ]);
        }
        terms.labelled = Some([logits, classes.shallow_clone()]);
        terms
    }

    /// Raw outputs for data, synthesised and labelled images, of one pass where all are computed alike.
    fn raws(&self, batch: &Batch, live: &LiveEnergy, synthetic: &LiveEnergy) -> [Option<Tensor>; 3] {
        let images = [
            batch.positive.as_ref(),
            batch.negative.as_ref().map(|n| &n.x),
            batch.labelled.as_ref().map(|[x, _]| x),
        ];
        if !(live.joins() && synthetic.joins()) {
            let [positive, negative, labelled] = images;
            return [(live, positive), (synthetic, negative), (live, labelled)].map(|(e, x)| x.map(|x| e.raw(x)));
        }
        let there: Vec<&Tensor> = images.into_iter().flatten().collect();
        let mut found = live.raws(&there).into_iter();
        images.map(|x| x.and_then(|_| found.next()))
    }

    /// The mode of the pass over synthesised images.
    fn mode_of_chains(&self, mode: Mode) -> Mode {
        match self.experiment.objective.statistics {
            Statistics::Data if mode == Mode::Train => Mode::TrainUnrecorded,
            _ => mode,
        }
    }

    /// The terms of improved contrastive divergence: the chains' last step taken again, through the live network.
    fn improve(&self, negative: &Synthesised, terms: &mut Terms) {
        let Some(last) = &negative.last_step else {
            return;
        };
        let live = self.live(Mode::TrainUnrecorded);
        let step = |energy: &dyn Energy| {
            let k = self.experiment.sampler.n_steps - 1;
            self.kernel
                .step_with_graph(energy, &last.before, k, &mut last.rng.clone())
        };
        let (x, kl) = match &negative.class {
            ChainClass::Kept(classes) => {
                let x = step(&live.of_classes(classes));
                let kl = kl_term(&self.frozen.of_classes(classes), &x);
                (x, kl)
            }
            ChainClass::None | ChainClass::Drawn(_) => {
                let x = step(&live);
                let kl = kl_term(&self.frozen, &x);
                (x, kl)
            }
        };
        let objective = &self.experiment.objective;
        terms.kl = (objective.kl_weight > 0.0).then_some(kl);
        terms.entropy = last.others.as_ref().map(|others| entropy_term(&x, others));
    }

    fn live(&self, mode: Mode) -> LiveEnergy<'_> {
        let kind = match self.experiment.train.precision {
            TrainPrecision::F32 | TrainPrecision::Tf32 => Kind::Float,
            TrainPrecision::Bf16 => Kind::BFloat16,
        };
        LiveEnergy::new(&self.state.network, mode, self.kernel.temperature())
            .in_kind(kind)
            .in_layout(sampling::layout_of(self.experiment.sampler.layout))
    }

    /// Adds the step's numbers to the meters.
    fn note(&mut self, batch: &Batch, out: JointLoss, norm: Tensor) {
        let s = &mut self.state;
        let mut values = out.parts;
        if let Some(Synthesised { grad_norm, .. }) = &batch.negative {
            let (age, reuse) = match s.buffer.as_ref().map(ReplayBuffer::stats) {
                Some(stats) => (stats.mean_age, stats.mean_reuse),
                None => (norm.zeros_like(), norm.zeros_like()),
            };
            let chains = [
                ("chain_grad_norm", grad_norm.shallow_clone()),
                ("buffer_age", age),
                ("buffer_reuse", reuse),
            ];
            values.extend(chains);
        }
        values.extend([("loss", out.loss), ("grad_norm", norm)]);
        s.meters.add(&values, batch.negative.is_some());
    }
}
