//! Synthesis of images by long chains on a trained network, in batches that fit a device.

use tch::{Device, Tensor};

use super::config::{CudaGraph, SamplerConfig};
use super::{ChainOutput, ChainRunner, Langevin, chain_energy, resolve_auto};
use crate::energy::{Energy, FrozenEnergy, ensure_finite};
use crate::error::Result;
use crate::nn::Network;
use crate::rng::Stream;

/// Chains that run side by side.
const BATCH: i64 = 250;

/// How long chains are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Steps with the sampler's noise.
    pub steps: usize,
    /// Further steps without noise.
    pub quiet: usize,
}

impl Length {
    /// Chains of `steps`, all with noise.
    pub fn of(steps: usize) -> Self {
        Self { steps, quiet: 0 }
    }

    /// All steps.
    pub fn whole(self) -> usize {
        self.steps + self.quiet
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps", self.steps)?;
        match self.quiet {
            0 => Ok(()),
            quiet => write!(f, " and {quiet} without noise"),
        }
    }
}

/// What chains move by; classes are `[N]`, i64, one a chain.
pub enum Target {
    /// E(x)
    Any,
    /// E(x,y)
    Classes(Tensor),
    /// From E(x,a) to E(x,b): (1 - w) E(x,a) + w E(x,b) with a w that is 0 over the first half of the chain, and from there
    /// rises linearly to 1 at the last step.
    Between {
        /// a
        from: Tensor,
        /// b
        to: Tensor,
    },
}

impl Target {
    /// The classes that chains are of when they start.
    pub fn first_classes(&self) -> Option<&Tensor> {
        match self {
            Self::Any => None,
            Self::Classes(classes) | Self::Between { from: classes, .. } => Some(classes),
        }
    }

    /// What chains move by once their weights have come to the end.
    fn last(&self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Classes(classes) | Self::Between { to: classes, .. } => Self::Classes(classes.shallow_clone()),
        }
    }

    /// The target of the chains from number `first` on, `n` of them.
    fn part(&self, first: i64, n: i64) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Classes(classes) => Self::Classes(classes.narrow(0, first, n)),
            Self::Between { from, to } => Self::Between {
                from: from.narrow(0, first, n),
                to: to.narrow(0, first, n),
            },
        }
    }
}

/// The names of the classes that chains end in, one an image; none where they have no class, and
/// numbers where the names are not known.
pub fn captions(target: &Target, names: &[String]) -> Vec<String> {
    match target {
        Target::Any => Vec::new(),
        Target::Classes(classes) | Target::Between { to: classes, .. } => captions_of(classes, names),
    }
}

/// The names of `classes`, i64 `[N]`; numbers where they are not known.
pub fn captions_of(classes: &Tensor, names: &[String]) -> Vec<String> {
    let classes = Vec::<i64>::try_from(classes.to_device(Device::Cpu)).expect("a vector of classes");
    let name = |class: i64| names.get(class as usize).cloned().unwrap_or_else(|| class.to_string());
    classes.into_iter().map(name).collect()
}

/// The last step, counted from 1, of a chain of `steps` that moves by E(x,a) alone: the half of them, rounded down.
pub fn halfway(steps: usize) -> usize {
    steps / 2
}

/// The w of step `k` of `steps`, counted from 1: 0 over the first half, from there linear, 1 at the last step.
pub fn weight_at(k: usize, steps: usize) -> f64 {
    let half = halfway(steps);
    k.saturating_sub(half) as f64 / (steps - half).max(1) as f64
}

/// What synthesises images: a trained network, and how chains move on it.
#[derive(Debug, Clone, Copy)]
pub struct Synthesis<'a> {
    /// The network.
    pub network: &'a Network,
    /// How chains move.
    pub sampler: &'a SamplerConfig,
    /// Whether steps are recorded on CUDA.
    pub cuda_graph: CudaGraph,
}

impl Synthesis<'_> {
    /// Runs a chain of this length from each start, `[N,C,H,W]`, by the energy that `target` names;
    /// returns images of the same shape.
    ///
    /// `watch` is called before each batch's first step and after every step, with the number of the
    /// batch's first image, the step, and the states.
    ///
    /// # Errors
    /// Chains end in pixels that are not finite.
    pub fn run(
        &self,
        target: &Target,
        starts: &Tensor,
        length: Length,
        rng: &mut Stream,
        watch: &mut dyn FnMut(i64, usize, &Tensor),
    ) -> Result<Tensor> {
        let (sampler, Length { steps, quiet }) = (self.sampler, length);
        let kernel = Langevin::new(sampler, steps);
        let still = kernel.without_noise();
        let mut runner = ChainRunner::new(self.cuda_graph);
        let mut resolved = sampler.clone();
        resolve_auto(&mut resolved, self.network, starts.size()[0].min(BATCH) as usize);
        let energy = chain_energy(&resolved, self.network, kernel.temperature());
        let mut first = 0;
        let mut ends = Vec::new();
        for start in starts.split(BATCH, 0) {
            let count = start.size()[0];
            let part = target.part(first, count);
            let mut watch = |k: usize, x: &Tensor| watch(first, k, x);
            let run = |energy: &dyn Energy, watch: Watch| runner.run(&kernel, energy, start, steps, rng, watch);
            let mut x = one_batch(&energy, &part, steps, run, &mut watch).x;
            if quiet > 0 {
                let mut watch = |k: usize, x: &Tensor| {
                    if k > 0 {
                        watch(steps + k, x)
                    }
                };
                let run = |energy: &dyn Energy, watch: Watch| runner.run(&still, energy, x, quiet, rng, watch);
                x = one_batch(&energy, &part.last(), quiet, run, &mut watch).x;
            }
            ends.push(x);
            first += count;
        }
        runner.take_notice().iter().for_each(|notice| log::info!("{notice}"));
        let x = Tensor::cat(&ends, 0);
        ensure_finite(&x, "chains", "end in pixels that are not finite")?;
        Ok(x)
    }
}

/// What sees the number of steps made and the states.
type Watch<'a> = &'a mut dyn FnMut(usize, &Tensor);

/// One batch of chains on the energy that `target` names, by what runs chains on an energy.
fn one_batch(
    energy: &FrozenEnergy,
    target: &Target,
    steps: usize,
    run: impl FnOnce(&dyn Energy, Watch) -> ChainOutput,
    watch: Watch,
) -> ChainOutput {
    match target {
        Target::Any => run(energy, watch),
        Target::Classes(classes) => run(&energy.of_classes(classes), watch),
        Target::Between { from, to } => {
            let energy = energy.between_classes(from, to);
            // Seen after step k, the weight is set for the step that follows.
            run(&energy, &mut |k, x| {
                energy.set_weight(weight_at(k + 1, steps));
                watch(k, x);
            })
        }
    }
}
