//! The quality monitor: at intervals it measures, on validation images and on chains, how good the model is by now.

use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::view::View;
use super::{draws, monitor_points, tables};
use crate::error::Result;
use crate::eval::{self, Features, RealImages};
use crate::eval::{Measure, OodSet};
use crate::experiment::Experiment;
use crate::models::{Form, Model};
use crate::rng::Stream;
use crate::sampling::ChainClasses;
use crate::sampling::replay::ReplayBuffer;

/// Validation images that distances are measured from, at most; drawn by the run's seed.
const MOST_REAL: usize = 2000;

/// Images that pass through the network together.
const BATCH: usize = 500;

/// The AUROC of validation images against uniform noise: every look takes it, and its line is known
/// by it.
const ALWAYS: &str = "auroc_uniform";

/// Whether a line of metrics is one of a look.
pub fn is_look(line: &Value) -> bool {
    [ALWAYS, monitor_points::ALWAYS]
        .iter()
        .any(|key| line.get(key).is_some())
}

/// What was measured, by name.
pub type Quality = Vec<(&'static str, f64)>;

/// Measures a run again and again; what cannot change between two looks it measures once.
#[derive(Default)]
pub struct Monitor {
    /// The distances of what stands beside the chains, where the features are always the same.
    beside: Option<Quality>,
}

impl Monitor {
    /// Measures a run with its averaged weights, on validation images.
    ///
    /// # Errors
    /// When a measure cannot be taken, as where the model is not finite.
    pub fn look(&mut self, view: &View) -> Result<Quality> {
        let e = view.experiment;
        let model = view.averaged()?;
        if e.space().image().is_none() {
            return monitor_points::look(view, &*model);
        }
        let mut found = Quality::new();
        if e.synthesises() {
            self.distances(view, &*model, &mut found)?;
        }
        let validation = &view.data.validation;
        if e.uses_labels() {
            let seen = tables::classification(&*model, validation)?;
            found.extend(seen.map(|c| ("validation_accuracy", c.accuracy)));
        }
        let table = tables::ood_table(&*model, view, validation, &[OodSet::Uniform])?;
        found.extend(table.mean_auroc().map(|value| (ALWAYS, value)));
        if !only_uniform(e) {
            let mean = tables::ood_table(&*model, view, validation, &e.evaluate.ood)?.mean_auroc();
            found.extend(mean.map(|value| ("validation_auroc", value)));
        }
        Ok(found)
    }

    /// Fresh chains and chains of the buffer against validation images, beside what chains start
    /// from and training images; and how the buffer's classes stand.
    fn distances(&mut self, view: &View, model: &dyn Model, found: &mut Quality) -> Result<()> {
        let e = view.experiment;
        let own = model
            .as_network()
            .filter(|network| network.classes().is_some() && e.uses_labels());
        let features = match own {
            Some(network) => Features::of_network(network, "the run's own classifier")?,
            None => Features::random(e.model.image()?, view.device)?,
        };
        let real = RealImages::new(
            &features,
            &view.data.validation.sampled(Some(MOST_REAL), e.seed)?.pixels,
        )?;
        let n = e.evaluate.images as i64;
        let fresh = draws::from_noise(model, view, n, &mut |_| ())?;
        found.push(("frechet_fresh", real.distance(&fresh.images())?));
        let beside = match self.beside.take() {
            Some(known) => known,
            None => beside(view, model, &real)?,
        };
        found.extend_from_slice(&beside);
        // What a generator draws changes as it learns.
        let same = own.is_none() && !e.objective.asks().generator;
        self.beside = same.then_some(beside);
        let Some(buffer) = &view.state.buffer else {
            return Ok(());
        };
        let mut rng = Stream::new(e.seed, "monitor").derive(view.state.step);
        let kept = buffer.peek(n, &mut rng).clamp(-1.0, 1.0);
        found.push(("frechet_buffer", real.distance(&kept)?));
        if e.chain_classes() == ChainClasses::Kept {
            balance(buffer, model, n, &mut rng, found)?;
        }
        Ok(())
    }
}

/// What the distance of fresh chains is to be read against: that of as many starts of chains, and
/// of as many training images.
fn beside(view: &View, model: &dyn Model, real: &RealImages) -> Result<Quality> {
    let n = view.experiment.evaluate.images as i64;
    let start = real.distance(&draws::starts(model, view, n)?)?;
    let mut found = vec![("frechet_start", start)];
    let train = &view.data.train;
    if train.len() > 1 {
        let rng = &mut Stream::new(view.experiment.seed, "monitor-train");
        let order = rng.permutation(train.len(), Device::Cpu);
        let some = train.select(&order.narrow(0, 0, n.min(train.len())));
        found.push(("frechet_train", real.distance(&some.pixels)?));
    }
    Ok(found)
}

/// Whether the sets of the run are uniform noise alone, which is always looked at.
fn only_uniform(e: &Experiment) -> bool {
    e.evaluate.ood.iter().all(|set| *set == OodSet::Uniform)
}

/// How often the model sees the class of its slot in a chain, over all classes and in the worst; how unequal ages are.
fn balance(buffer: &ReplayBuffer, model: &dyn Model, n: i64, rng: &mut Stream, found: &mut Quality) -> Result<()> {
    let slots = buffer.slots_by_class();
    let of_each = (n as usize / slots.len()).max(1);
    let looked_at: Vec<usize> = slots.iter().map(|slots| of_each.min(*slots)).collect();
    let classes = (0..)
        .zip(&looked_at)
        .flat_map(|(class, n)| std::iter::repeat_n(class, *n));
    let classes: Vec<i64> = classes.collect();
    let x = buffer.peek_of_classes(&classes, rng)?;
    let frozen = model.freeze(Form::plain(1.0));
    let logits = eval::outputs(&|x| Ok(frozen.raw(x)), &x, BATCH)?;
    let asked = Tensor::from_slice(&classes).to_device(x.device());
    let right = logits.argmax(1, false).eq_tensor(&asked).to_kind(Kind::Double);
    let lengths: Vec<i64> = looked_at.iter().filter(|n| **n > 0).map(|n| *n as i64).collect();
    let parts = right.split_with_sizes(lengths, 0);
    let shares: Vec<Tensor> = parts.iter().map(|part| part.mean(Kind::Double)).collect();
    let shares = Tensor::stack(&shares, 0);
    let ages = buffer.age_by_class().to_kind(Kind::Double);
    let (mean, spread) = (ages.mean(Kind::Double), ages.max() - ages.min());
    found.extend([
        ("buffer_agreement", shares.mean(Kind::Double).double_value(&[])),
        ("buffer_agreement_worst_class", shares.min().double_value(&[])),
        ("buffer_age_spread", (spread / mean.clamp_min(1.0)).double_value(&[])),
    ]);
    Ok(())
}

/// The measure that decides which checkpoint is the best.
pub struct Decider {
    key: &'static str,
    /// -1 of a measure that is lower for what is better.
    sign: f64,
}

impl Decider {
    /// That of an experiment.
    pub fn of(e: &Experiment) -> Self {
        let measure = e.evaluate.best.unwrap_or(match (e.space().image(), e.synthesises()) {
            (None, _) => Measure::EnergyDistance,
            (_, true) => Measure::Frechet,
            (_, false) => Measure::Accuracy,
        });
        let (key, sign) = match measure {
            Measure::Frechet => ("frechet_fresh", -1.0),
            Measure::EnergyDistance => (monitor_points::ALWAYS, -1.0),
            Measure::Accuracy => ("validation_accuracy", 1.0),
            Measure::Auroc if only_uniform(e) => (ALWAYS, 1.0),
            Measure::Auroc => ("validation_auroc", 1.0),
        };
        Self { key, sign }
    }

    /// Its name, with a minus where the measure is turned round.
    pub fn name(&self) -> String {
        let minus = if self.sign < 0.0 { "-" } else { "" };
        format!("{minus}{}", self.key)
    }

    /// Its value on a line of metrics, higher for what is better; none where it is no number.
    pub fn value(&self, line: &Value) -> Option<f64> {
        line[self.key].as_f64().map(|value| self.sign * value)
    }

    /// What was measured, by name and value.
    pub fn pick(&self, quality: &Quality) -> Option<(String, f64)> {
        let (_, value) = quality.iter().find(|(name, _)| *name == self.key)?;
        Some((self.name(), self.sign * value))
    }
}
