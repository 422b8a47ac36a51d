//! The quality monitor: at intervals it measures, on validation images and on chains, how good the model is by now.

use tch::{Kind, Tensor};

use super::results;
use crate::buffer::ReplayBuffer;
use crate::config::{Chains, Measure, OodSet};
use crate::error::Result;
use crate::eval::{self, Features};
use crate::nn::{Frozen, Network};
use crate::rng::Stream;
use crate::train::Trainer;

/// Validation images that distances are measured from, at most.
const MOST_REAL: i64 = 2000;

/// Images that pass through the network together.
const BATCH: usize = 500;

/// What was measured, by name.
pub type Quality = Vec<(&'static str, f64)>;

/// Measures a run with its averaged weights, on validation images.
///
/// # Errors
/// When a measure cannot be taken, as where the model is not finite.
pub fn quality(trainer: &Trainer) -> Result<Quality> {
    let e = trainer.experiment();
    let network = trainer.state().averaged(trainer.device())?;
    let frozen = network.frozen(Kind::Float);
    let mut found = Quality::new();
    if e.objective.uses_chains() {
        distances(trainer, &network, &frozen, &mut found)?;
    }
    if e.objective.uses_labels() {
        let seen = results::classification(&network, &trainer.data().validation)?;
        found.extend(seen.map(|c| ("validation_accuracy", c.accuracy)));
    }
    let table = results::ood_table(&network, trainer, &trainer.data().validation, &[OodSet::Uniform])?;
    let uniform = table.mean_auroc().unwrap_or(f64::NAN);
    found.push(("auroc_uniform", uniform));
    let mean = match e.evaluate.ood.is_empty() {
        true => Some(uniform),
        false => results::ood_table(&network, trainer, &trainer.data().validation, &e.evaluate.ood)?.mean_auroc(),
    };
    found.extend(mean.map(|value| ("validation_auroc", value)));
    Ok(found)
}

/// Fresh chains and chains of the buffer against validation images, and how the buffer's classes stand.
fn distances(trainer: &Trainer, network: &Network, frozen: &Frozen, found: &mut Quality) -> Result<()> {
    let e = trainer.experiment();
    let features = match network.classes().filter(|_| e.objective.uses_labels()) {
        Some(_) => Features::of_network(network, "the run's own classifier")?,
        None => Features::random(e.model.input, trainer.device())?,
    };
    let real = trainer.data().validation.first(MOST_REAL).pixels;
    let n = e.evaluate.images as i64;
    let fresh = results::from_noise(network, trainer, n, &mut |_| ())?;
    found.push(("frechet_fresh", eval::relative_frechet(&features, &real, &fresh)?));
    let Some(buffer) = &trainer.state().buffer else {
        return Ok(());
    };
    let mut rng = Stream::new(e.seed, "monitor").derive(trainer.state().step);
    let kept = buffer.peek(n, &mut rng).clamp(-1.0, 1.0);
    found.push(("frechet_buffer", eval::relative_frechet(&features, &real, &kept)?));
    if e.objective.chains == Chains::ByClass {
        balance(buffer, frozen, n, &mut rng, found)?;
    }
    Ok(())
}

/// How often the model sees the class of its slot in a chain, over all classes and in the worst; how unequal ages are.
fn balance(buffer: &ReplayBuffer, frozen: &Frozen, n: i64, rng: &mut Stream, found: &mut Quality) -> Result<()> {
    let slots = buffer.slots_by_class();
    let of_each = (n as usize / slots.len()).max(1);
    let looked_at: Vec<usize> = slots.iter().map(|slots| of_each.min(*slots)).collect();
    let classes = (0..)
        .zip(&looked_at)
        .flat_map(|(class, n)| std::iter::repeat_n(class, *n));
    let classes: Vec<i64> = classes.collect();
    let x = buffer.peek_of_classes(&classes, rng)?;
    let logits = eval::outputs(&|x| Ok(frozen.forward(x)), &x, BATCH)?;
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

/// The measure that decides which checkpoint is the best, by name; higher is better.
pub fn best(trainer: &Trainer, quality: &Quality) -> Option<(String, f64)> {
    let e = trainer.experiment();
    let measure = e.evaluate.best.unwrap_or(match e.objective.uses_chains() {
        true => Measure::Frechet,
        false => Measure::Accuracy,
    });
    let (name, sign) = match measure {
        Measure::Frechet => ("frechet_fresh", -1.0),
        Measure::Accuracy => ("validation_accuracy", 1.0),
        Measure::Auroc => ("validation_auroc", 1.0),
    };
    let (_, value) = quality.iter().find(|(n, _)| *n == name)?;
    let minus = if sign < 0.0 { "-" } else { "" };
    Some((format!("{minus}{name}"), sign * value))
}
