//! One step of analysis by synthesis: data, labels, chains, an update.

use tch::{Kind, Tensor};

use super::trainer::Trainer;
use crate::data;
use crate::energy::Condition;
use crate::error::Result;
use crate::objective::{Asks, Inputs, name};
use crate::rng::Stream;
use crate::sampling::replay::Origin;
use crate::sampling::{Both, ChainClasses, Positions, SamplerConfig, Start, Watch};

/// Chains of the buffer that nearest neighbours are looked for in (Du et al. 2021).
const OTHERS: i64 = 100;

impl Trainer {
    /// One step: what the terms of the objective ask for is gathered, and learnt from.
    pub fn step(&mut self) -> Result<()> {
        let asks = self.state.terms.asks(self.state.step);
        let mut inputs = Inputs::default();
        if asks.data {
            inputs.put(name::DATA, self.positive());
        }
        if let Some(labelled) = &mut self.state.labelled {
            let [x, labels] = labelled.next(&self.experiment, &self.data);
            inputs.put(name::LABELLED, x);
            inputs.put(name::LABELS, labels);
        }
        if asks.chains {
            let state = &mut self.state;
            state
                .terms
                .before_chains(state.step, &mut inputs, &mut state.streams.objective);
            self.synthesise(&asks, &mut inputs)?;
        }
        let state = &mut self.state;
        state
            .terms
            .gather(state.step, &mut inputs, &mut state.streams.objective);
        self.update(&inputs);
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
        let mut x = data::add_noise(&x, self.experiment.data.noise, rng);
        if let Some([low, high]) = self.interval {
            let _ = x.clamp_(low, high);
        }
        x
    }

    /// Runs this step's chains on the present weights, which the last update left in the frozen copy, and gives them back to
    /// the buffer.
    fn synthesise(&mut self, asks: &Asks, inputs: &mut Inputs) -> Result<()> {
        let sampler = self.experiment.sampler()?.clone();
        let from = self.chain_start(&sampler, inputs)?;
        if let Some(classes) = &from.classes {
            keep(&mut self.chain_classes, classes);
        }
        let condition = match (&from.classes, &self.chain_classes) {
            (Some(_), Some(kept)) => Condition::Class(kept),
            _ if sampler.classes == ChainClasses::Drawn => Condition::Drawn,
            _ => Condition::Any,
        };
        let steps = sampler.n_steps;
        let mut before_last = None;
        let mut last = |k: usize, x: &Tensor| {
            if asks.chain_end && k + 1 == steps {
                before_last = Some(x.copy());
            }
        };
        let mut tuned;
        let watch: &mut dyn Watch = match &mut self.state.warm_up {
            Some(warm_up) => {
                tuned = Both(warm_up, &mut last);
                &mut tuned
            }
            None => &mut last,
        };
        let kernel = self.kernel.as_deref().expect("a sampler has a kernel");
        let rng = &mut self.state.streams.sampler;
        let chain = {
            let outputs = self.frozen.outputs();
            let own = self
                .state
                .terms
                .chain_target(self.state.step, outputs, self.temperature, inputs);
            let energy = own.unwrap_or_else(|| Box::new(outputs.given(condition)));
            self.chains.run(kernel, &*energy, from.at, steps, rng, watch)
        };
        if let Some(before) = before_last {
            self.last_step(before, asks, inputs);
        }
        if let (Some(buffer), Some(origin)) = (&mut self.state.buffer, &from.origin) {
            buffer.put(origin, &chain, steps, &mut self.state.streams.buffer);
        }
        match from.classes {
            Some(classes) => inputs.put(name::KEPT_CLASSES, classes),
            None if sampler.classes == ChainClasses::Drawn => {
                inputs.put(name::CLASS_NOISE, self.gumbel(chain.x.size()[0]));
            }
            None => {}
        }
        inputs.put(name::NEGATIVES, chain.x);
        inputs.put(name::CHAIN_GRAD_NORM, chain.grad_norm);
        if let Some(accept) = chain.accept {
            inputs.put(name::ACCEPTANCE, accept);
        }
        Ok(())
    }

    /// What the classes of `n` chains are drawn by where they end.
    fn gumbel(&mut self, n: i64) -> Tensor {
        let classes = self.state.model.classes().expect("checked to have classes");
        self.state.streams.sampler.gumbel(&[n, classes], self.device)
    }

    /// What the chains' last step needs to be taken again. Streams derived from the step draw for
    /// it, so that the run's own do not move.
    fn last_step(&self, before: Tensor, asks: &Asks, inputs: &mut Inputs) {
        let s = &self.state;
        let mut noise = Tensor::empty(before.size(), (Kind::Float, before.device()));
        s.streams.sampler.derive(s.step).normal_(&mut noise);
        inputs.put(name::BEFORE_LAST, before);
        inputs.put(name::LAST_NOISE, noise);
        if let Some(buffer) = s.buffer.as_ref().filter(|_| asks.neighbours) {
            let others = buffer.peek(OTHERS, &mut s.streams.buffer.derive(s.step));
            inputs.put(name::NEIGHBOURS, others);
        }
    }

    /// Where this step's chains start.
    fn chain_start(&mut self, sampler: &SamplerConfig, inputs: &Inputs) -> Result<ChainOrigin> {
        if let Some(x) = self.state.terms.chain_start(self.state.step, inputs) {
            return Ok(ChainOrigin {
                at: x.into(),
                classes: None,
                origin: None,
            });
        }
        let batch = self.experiment.train.batch_size as i64;
        let fresh = |n, classes: Option<&Tensor>, rng: &mut Stream| self.starter.draw(n, classes, rng);
        let shares = self.state.shares.as_ref();
        let rng = &mut self.state.streams.buffer;
        if let Some(buffer) = &self.state.buffer {
            let of_class = |classes: &Tensor, rng: &mut Stream| Ok(fresh(classes.size()[0], Some(classes), rng));
            let drawn = match shares {
                Some(shares) => buffer.draw_by_class(batch, shares, of_class, rng)?,
                None => buffer.draw(batch, |n, rng| Ok(fresh(n, None, rng)), rng)?,
            };
            return Ok(ChainOrigin {
                at: Positions {
                    x: drawn.x,
                    replicas: drawn.replicas,
                },
                classes: drawn.classes,
                origin: Some(drawn.origin),
            });
        }
        let classes = shares.map(|s| Tensor::from_slice(&s.draw(batch, rng)).to_device(self.device));
        let x = match (sampler.start, inputs.get(name::DATA)) {
            (Start::Data, Some(data)) => data.copy(),
            (Start::Halves, Some(data)) => {
                let half = batch / 2;
                Tensor::cat(&[data.narrow(0, 0, half), fresh(batch - half, None, rng)], 0)
            }
            _ => fresh(batch, classes.as_ref(), rng),
        };
        Ok(ChainOrigin {
            at: x.into(),
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
struct ChainOrigin {
    at: Positions,
    classes: Option<Tensor>,
    origin: Option<Origin>,
}
