//! Everything that a run consists of between two steps.

use tch::{Device, Tensor};

use super::guard::Guard;
use super::labelled::Labelled;
use super::meters::Meters;
use crate::data::{Batches, ClassShares, DataSet};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::files::Named;
use crate::models::Model;
use crate::objective::{Generator, Terms};
use crate::optim::{Ema, Optimizer, Sam};
use crate::rng::Stream;
use crate::run::{Divergence, Streams, base};
use crate::sampling::replay::ReplayBuffer;
use crate::sampling::{ChainClasses, Starter, WarmUp};

/// The state of a run.
pub struct State {
    /// Updates made so far.
    pub step: u64,
    /// The live model.
    pub model: Box<dyn Model>,
    /// The moving average of its weights, where one is kept.
    pub ema: Option<Ema>,
    /// The moving average of the terms' own parameters, where chains start from them.
    pub terms_ema: Option<Ema>,
    /// The optimiser with its moments.
    pub optimizer: Optimizer,
    /// Where sharpness-aware minimisation climbs to between the two passes of a step; nothing of it outlasts the step.
    pub sam: Option<Sam>,
    /// The persistent chains, where the objective keeps them.
    pub buffer: Option<ReplayBuffer>,
    /// How often each class is labelled, where chains keep their class.
    pub shares: Option<ClassShares>,
    /// The terms of the objective, with parameters of their own.
    pub terms: Terms,
    /// What finds the step size of the chains, where it is to be found.
    pub warm_up: Option<WarmUp>,
    /// Where in which epoch the data is.
    pub batches: Batches,
    /// The labelled batches, where the objective uses labels.
    pub labelled: Option<Labelled>,
    /// Randomness.
    pub streams: Streams,
    /// Sums for the next line of metrics.
    pub meters: Meters,
    /// The divergence guard.
    pub guard: Guard,
    /// What divergences have multiplied the learning rate by.
    pub lr_scale: f64,
    /// The divergences so far, each of which was gone back behind.
    pub divergences: Vec<Divergence>,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
}

impl State {
    /// The state before the first step; chains of the buffer come from `starter`.
    pub fn new(experiment: &Experiment, data: &DataSet, starter: &Starter, device: Device) -> Result<Self> {
        let stream = |name| Stream::new(experiment.seed, name);
        let mut streams = Streams {
            data: stream("data"),
            buffer: stream("buffer"),
            sampler: stream("sampler"),
            network: stream("network"),
            objective: stream("objective"),
        };
        let model = experiment.model.build(device, &mut stream("init"))?;
        let ema = experiment
            .optimizer
            .ema
            .map(|decay| Ema::new(decay, model.parameters()));
        let mut terms = experiment.objective.build(device);
        terms.begin(&experiment.space(), &mut stream("objective-init"));
        if let Some(base) = base::open(experiment, device)? {
            terms.set_base(&base.density);
        }
        terms.fit(&data.train)?;
        let averaged = experiment.optimizer.ema.filter(|_| experiment.averages_terms());
        let terms_ema = averaged.map(|decay| Ema::new(decay, &terms.parameters()));
        let optimizer = Optimizer::new(&experiment.optimizer, &parameters(&*model, &terms));
        let labelled = match (experiment.uses_labels(), model.classes()) {
            (true, Some(classes)) => Some(Labelled::new(experiment, data, classes, device)?),
            _ => None,
        };
        let shares = match (&labelled, model.classes()) {
            (Some(labelled), Some(classes)) if experiment.chain_classes() == ChainClasses::Kept => {
                Some(labelled.shares(data, classes)?)
            }
            _ => None,
        };
        let buffer = match experiment.uses_buffer() {
            true => {
                let chains = first_chains(experiment, shares.as_ref(), starter, &mut streams.buffer, device)?;
                Some(chains.with_replicas(experiment.kept_replicas()))
            }
            false => None,
        };
        let batches = Batches::new(
            data.train.len(),
            experiment.train.batch_size as i64,
            stream("batches"),
            device,
        )?;
        let kernel = experiment.sampler.as_ref().filter(|_| experiment.runs_chains());
        let kernel = kernel.map(|sampler| (sampler.warm_up, sampler.kernel.build(sampler.n_steps)));
        let warm_up = kernel
            .as_ref()
            .and_then(|(w, kernel)| Some(WarmUp::new((*w)?, &**kernel, &model.space().shape, device)));
        let exact = kernel.as_ref().map(|(_, kernel)| kernel.facts().exact);
        let (meters, guard) = (
            Meters::new(&terms, of_chains(exact), device),
            Guard::new(&experiment.guard, device),
        );
        Ok(Self {
            step: 0,
            sam: experiment
                .optimizer
                .sam
                .as_ref()
                .map(|cfg| Sam::new(cfg, model.parameters())),
            model,
            ema,
            terms_ema,
            optimizer,
            buffer,
            shares,
            batches,
            labelled,
            terms,
            warm_up,
            streams,
            meters,
            guard,
            lr_scale: 1.0,
            divergences: Vec::new(),
            seconds: 0.0,
        })
    }

    /// Takes the weights of another run; the average starts from them, everything else stays as it is at the first step.
    ///
    /// # Errors
    /// When they are of another architecture; `place` names their run.
    pub fn start_from(&mut self, other: &dyn Model, experiment: &Experiment, place: &str) -> Result<()> {
        self.model.load(&named(other.state()), place)?;
        let parameters = self.model.parameters();
        self.ema = experiment.optimizer.ema.map(|decay| Ema::new(decay, parameters));
        Ok(())
    }

    /// The model as others use it: with averaged weights where an average is kept.
    pub fn averaged(&self, device: Device) -> Result<Box<dyn Model>> {
        let copy = self.model.another(device)?;
        let (weights, place) = (named(self.model.state()), "copy of the model");
        match &self.ema {
            Some(ema) => copy.load_averaged(weights, ema.weights().into_iter().collect(), place)?,
            None => copy.load(&weights, place)?,
        }
        Ok(copy)
    }

    /// The generator that fresh chains start from as others use it, where a term has one.
    pub fn averaged_generator(&self, experiment: &Experiment, device: Device) -> Result<Option<Generator>> {
        let weights = match &self.terms_ema {
            Some(ema) => ema.weights(),
            None => self.terms.parameters(),
        };
        let (space, place) = (experiment.space(), "copy of the generator");
        experiment.objective.generator(&space, &named(weights), place, device)
    }
}

/// Everything that training changes by a gradient: the model, then the terms.
fn parameters(model: &dyn Model, terms: &Terms) -> Vec<(String, Tensor)> {
    let share = |(name, t): &(String, Tensor)| (name.clone(), t.shallow_clone());
    let of_terms = terms.parameters().into_iter();
    let of_terms = of_terms.map(|(name, t)| (format!("objective.{name}"), t));
    model.parameters().iter().map(share).chain(of_terms).collect()
}

/// What steps with chains report; `exact` says whether their kernel rejects, and is none without
/// chains.
fn of_chains(exact: Option<bool>) -> &'static [&'static str] {
    match exact {
        None => &[],
        Some(false) => &["chain_grad_norm", "buffer_age", "buffer_reuse"],
        Some(true) => &["chain_grad_norm", "buffer_age", "buffer_reuse", "acceptance"],
    }
}

pub(super) fn named(tensors: Vec<(String, Tensor)>) -> Named {
    tensors.into_iter().collect()
}

/// A buffer full of fresh chains; with classes in the shares of the labels, where chains keep them.
fn first_chains(
    experiment: &Experiment,
    shares: Option<&ClassShares>,
    starter: &Starter,
    rng: &mut Stream,
    device: Device,
) -> Result<ReplayBuffer> {
    let size = experiment.buffer.size as i64;
    let Some(shares) = shares else {
        let fresh = starter.draw(size, None, rng);
        return Ok(ReplayBuffer::new(&experiment.buffer, fresh, rng));
    };
    let slots = shares.slots(size, experiment.train.batch_size as i64)?;
    let of_slot = (0..)
        .zip(slots)
        .flat_map(|(class, n)| std::iter::repeat_n(class, n as usize));
    let of_slot = Tensor::from_slice(&of_slot.collect::<Vec<i64>>()).to_device(device);
    let fresh = starter.draw(size, Some(&of_slot), rng);
    ReplayBuffer::new(&experiment.buffer, fresh, rng).by_class(of_slot, shares.classes())
}
