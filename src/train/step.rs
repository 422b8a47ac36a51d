//! One step of analysis by synthesis: data, chains, energies, an update.

use tch::Tensor;

use super::trainer::Trainer;
use crate::buffer::{Origin, ReplayBuffer};
use crate::config::Negatives;
use crate::data;
use crate::energy::{Energy, LiveEnergy};
use crate::error::Result;
use crate::nn::Mode;
use crate::rng::Stream;
use crate::sampling;

impl Trainer {
    /// One step of maximum likelihood: data and synthesised images, their energies, an update.
    pub fn step(&mut self) -> Result<()> {
        let positive = self.positive();
        self.frozen.refresh(&self.state.network);
        let start = self.start(&positive)?;
        let steps = self.experiment.sampler.n_steps;
        let chain = sampling::run_chain(
            &self.kernel,
            &self.frozen,
            start.x,
            steps,
            &mut self.state.streams.sampler,
        );
        if let (Some(buffer), Some(origin)) = (&mut self.state.buffer, &start.origin) {
            buffer.put(origin, &chain.x, steps, &mut self.state.streams.buffer);
        }
        self.update(&positive, &chain.x, &chain.grad_norm);
        self.state.step += 1;
        Ok(())
    }

    /// A batch of data, augmented, with its noise, inside the interval that the chains are clamped to.
    ///
    /// Noise may not carry data where no chain can follow: the network would tell them apart by that alone.
    fn positive(&mut self) -> Tensor {
        let rng = &mut self.state.streams.data;
        let index = self.state.batches.next_indices();
        let x = self.data.train.augmented(&index, &self.experiment.data.augment, rng);
        let mut x = data::add_noise(&x, self.experiment.objective.data_noise, rng);
        if let Some([low, high]) = self.experiment.sampler.clamp {
            let _ = x.clamp_(low, high);
        }
        x
    }

    /// Where this step's chains start.
    fn start(&mut self, positive: &Tensor) -> Result<Start> {
        let batch = self.experiment.train.batch_size as i64;
        let fresh = |n, rng: &mut Stream| self.starter.draw(n, None, rng);
        let rng = &mut self.state.streams.buffer;
        let (x, origin) = match &self.state.buffer {
            Some(buffer) => {
                let drawn = buffer.draw(batch, |n, rng| Ok(fresh(n, rng)), rng)?;
                (drawn.x, Some(drawn.origin))
            }
            None if self.experiment.objective.negatives == Negatives::Data => (positive.copy(), None),
            None => (fresh(batch, rng), None),
        };
        Ok(Start { x, origin })
    }

    /// Energies of both, the loss, its gradient, the update; numbers stay on the device.
    fn update(&mut self, positive: &Tensor, negative: &Tensor, chain_grad_norm: &Tensor) {
        let s = &mut self.state;
        s.streams.network.arm();
        let live = LiveEnergy::new(&s.network, Mode::Train, self.kernel.temperature());
        let (energy_pos, energy_neg) = (live.energy(positive), live.energy(negative));
        let out = self.objective.loss(&energy_pos, &energy_neg);
        s.optimizer.zero_grad();
        out.loss.backward();
        let norm = s.optimizer.clip();
        s.optimizer.step(self.schedule.lr(s.step) * s.lr_scale);
        if let Some(ema) = &mut s.ema {
            ema.update(s.network.parameters());
        }
        s.guard.watch(&energy_pos, &energy_neg, &out.loss, &norm);
        let (age, reuse) = match s.buffer.as_ref().map(ReplayBuffer::stats) {
            Some(stats) => (stats.mean_age, stats.mean_reuse),
            None => (norm.zeros_like(), norm.zeros_like()),
        };
        s.meters.add([
            &out.energy_pos,
            &out.energy_neg,
            &out.loss,
            &norm,
            chain_grad_norm,
            &age,
            &reuse,
        ]);
    }
}

/// Where chains start, and the place in the buffer that they continue from, if any.
struct Start {
    x: Tensor,
    origin: Option<Origin>,
}
