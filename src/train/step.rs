//! One step of analysis by synthesis: data, labels, chains, energies, an update.

use tch::Tensor;

use super::batch::{Batch, ChainClass, LastStep, Synthesised};
use super::trainer::Trainer;
use crate::buffer::Origin;
use crate::data;
use crate::energy::{ClassEnergy, DrawnClassEnergy, Energy};
use crate::error::Result;
use crate::objective::{Chains, Negatives};
use crate::rng::Stream;

/// Chains of the buffer that nearest neighbours are looked for in (Du et al. 2021).
const OTHERS: i64 = 100;

impl Trainer {
    /// One step: images of the data and synthesised ones, their energies, an update.
    pub fn step(&mut self) -> Result<()> {
        let objective = &self.experiment.objective;
        let begun = self.state.step >= objective.p_x_from;
        let (uses_x, uses_chains) = (begun && objective.p_x_weight > 0.0, begun && objective.uses_chains());
        let positive = uses_x.then(|| self.positive());
        let labelled = self
            .state
            .labelled
            .as_mut()
            .map(|l| l.next(&self.experiment, &self.data));
        let negative = match uses_chains {
            true => Some(self.synthesise(positive.as_ref())?),
            false => None,
        };
        self.update(&Batch {
            positive,
            labelled,
            negative,
        });
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

    /// Runs this step's chains on the present weights, which the last update left in the frozen copy, and gives them back to
    /// the buffer.
    fn synthesise(&mut self, positive: Option<&Tensor>) -> Result<Synthesised> {
        let start = self.start(positive)?;
        if let Some(classes) = &start.classes {
            keep(&mut self.chain_classes, classes);
        }
        let (of_class, with_class): (ClassEnergy, DrawnClassEnergy);
        let energy: &dyn Energy = match (&start.classes, &self.chain_classes) {
            (Some(_), Some(kept)) => {
                of_class = self.frozen.of_classes(kept);
                &of_class
            }
            _ if self.draws_classes() => {
                with_class = self.frozen.with_drawn_class();
                &with_class
            }
            _ => &self.frozen,
        };
        let steps = self.experiment.sampler.n_steps;
        let keeps = self.experiment.objective.differentiates_chains();
        let mut before_last = None;
        let mut watch = |k: usize, x: &Tensor| {
            if keeps && k + 1 == steps {
                before_last = Some(x.copy());
            }
        };
        let rng = &mut self.state.streams.sampler;
        let chain = self.chains.run(&self.kernel, energy, start.x, steps, rng, &mut watch);
        let last_step = before_last.map(|before| self.last_step(before));
        if let (Some(buffer), Some(origin)) = (&mut self.state.buffer, &start.origin) {
            buffer.put(origin, &chain.x, steps, &mut self.state.streams.buffer);
        }
        let class = match start.classes {
            Some(classes) => ChainClass::Kept(classes),
            None if self.draws_classes() => ChainClass::Drawn(self.gumbel(chain.x.size()[0])),
            None => ChainClass::None,
        };
        Ok(Synthesised {
            x: chain.x,
            class,
            grad_norm: chain.grad_norm,
            last_step,
        })
    }

    /// Whether chains draw their class as they go.
    fn draws_classes(&self) -> bool {
        self.experiment.objective.chains == Chains::WithClass
    }

    /// What the classes of `n` chains are drawn by where they end.
    fn gumbel(&mut self, n: i64) -> Tensor {
        let classes = self.state.network.classes().expect("checked to have classes");
        self.state.streams.sampler.gumbel(&[n, classes], self.device)
    }

    /// Streams derived from the step draw for it, so that the run's own do not move.
    fn last_step(&self, before: Tensor) -> LastStep {
        let (s, weight) = (&self.state, self.experiment.objective.entropy_weight);
        let buffer = s.buffer.as_ref().filter(|_| weight > 0.0);
        LastStep {
            before,
            others: buffer.map(|b| b.peek(OTHERS, &mut s.streams.buffer.derive(s.step))),
            rng: s.streams.sampler.derive(s.step),
        }
    }

    /// Where this step's chains start.
    fn start(&mut self, positive: Option<&Tensor>) -> Result<Start> {
        let (e, device) = (&self.experiment, self.device);
        let batch = e.train.batch_size as i64;
        let fresh = |n, classes: Option<&Tensor>, rng: &mut Stream| self.starter.draw(n, classes, rng);
        let shares = self.state.shares.as_ref();
        let rng = &mut self.state.streams.buffer;
        if let Some(buffer) = &self.state.buffer {
            let of_class = |classes: &Tensor, rng: &mut Stream| Ok(fresh(classes.size()[0], Some(classes), rng));
            let drawn = match shares {
                Some(shares) => buffer.draw_by_class(batch, shares, of_class, rng)?,
                None => buffer.draw(batch, |n, rng| Ok(fresh(n, None, rng)), rng)?,
            };
            return Ok(Start {
                x: drawn.x,
                classes: drawn.classes,
                origin: Some(drawn.origin),
            });
        }
        let classes = shares.map(|s| Tensor::from_slice(&s.draw(batch, rng)).to_device(device));
        let x = match (e.objective.negatives, positive) {
            (Negatives::Data, Some(positive)) => positive.copy(),
            _ => fresh(batch, classes.as_ref(), rng),
        };
        Ok(Start {
            x,
            classes,
            origin: None,
        })
    }
}

/// Copies a tensor into the memory that the last one of its shape has.
fn keep(kept: &mut Option<Tensor>, new: &Tensor) {
    match kept.as_mut().filter(|kept| kept.size() == new.size()) {
        Some(kept) => kept.copy_(new),
        None => *kept = Some(new.copy()),
    }
}

/// Where chains start, the classes they have, and the place in the buffer that they continue from, if any.
struct Start {
    x: Tensor,
    classes: Option<Tensor>,
    origin: Option<Origin>,
}
