//! Synthesis of states by long chains on a trained model, in batches that fit a device.

use tch::{Device, Tensor};

use super::chain::{Both, ChainOutput, Watch};
use super::config::{CudaGraph, SamplerConfig};
use super::kernel::{ChainState, Kernel, StepInfo};
use super::{ChainRunner, WarmUp};
use crate::energy::{Condition, Energy, Outputs, ensure_finite};
use crate::error::{Error, Result};
use crate::models::{ComputeConfig, FrozenModel, Model, chain_form, resolve_auto};
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

/// What synthesises states: a trained model, and how chains move on it.
#[derive(Debug, Clone, Copy)]
pub struct Synthesis<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// How chains move.
    pub sampler: &'a SamplerConfig,
    /// How the model computes.
    pub compute: &'a ComputeConfig,
    /// Whether steps are recorded on CUDA.
    pub cuda_graph: CudaGraph,
}

/// Who sees the chains of each batch: a function of the number of the batch's first chain, the steps
/// made and the states is one, called at the start, with 0, and after every step.
pub trait WatchBatches {
    /// The chains of a batch have not moved yet.
    fn started(&mut self, _first: i64, _state: &ChainState) {}

    /// They have made `k` steps.
    fn seen(&mut self, first: i64, k: usize, state: &ChainState, info: &StepInfo);
}

impl<F: FnMut(i64, usize, &Tensor)> WatchBatches for F {
    fn started(&mut self, first: i64, state: &ChainState) {
        self(first, 0, &state.x);
    }

    fn seen(&mut self, first: i64, k: usize, state: &ChainState, _: &StepInfo) {
        self(first, k, &state.x);
    }
}

/// One batch of chains, `made` steps of which are behind it.
struct OfBatch<'a> {
    first: i64,
    made: usize,
    watch: &'a mut dyn WatchBatches,
}

impl Watch for OfBatch<'_> {
    fn started(&mut self, state: &mut ChainState) {
        if self.made == 0 {
            self.watch.started(self.first, state);
        }
    }

    fn seen(&mut self, k: usize, state: &mut ChainState, info: &StepInfo) {
        self.watch.seen(self.first, self.made + k, state, info);
    }
}

impl Synthesis<'_> {
    /// Runs a chain of this length from each start, `[N,..]`, by the energy that `target` names;
    /// returns states of the same shape.
    ///
    /// # Errors
    /// Chains end in numbers that are not finite, or steps without noise are asked of a kernel that
    /// has none.
    pub fn run(
        &self,
        target: &Target,
        starts: &Tensor,
        length: Length,
        rng: &mut Stream,
        watch: &mut dyn WatchBatches,
    ) -> Result<Tensor> {
        let (kernel, still) = self.kernels(length)?;
        let mut runner = ChainRunner::new(self.cuda_graph);
        let frozen = self.frozen(&*kernel, starts.size()[0].min(BATCH));
        let outputs = frozen.outputs();
        let mut warm_up = self
            .sampler
            .warm_up
            .map(|w| WarmUp::new(w, &*kernel, &starts.size()[1..], starts.device()));
        let (mut first, mut ends) = (0, Vec::new());
        for start in starts.split(BATCH, 0) {
            let count = start.size()[0];
            let part = target.part(first, count);
            let mut seen = OfBatch { first, made: 0, watch };
            let mut run = |energy: &dyn Energy| {
                let mut tuned;
                let watch: &mut dyn Watch = match &mut warm_up {
                    Some(warm_up) => {
                        tuned = Both(warm_up, &mut seen);
                        &mut tuned
                    }
                    None => &mut seen,
                };
                runner.run(&*kernel, energy, start.shallow_clone(), length.steps, rng, watch)
            };
            let mut x = on_energy(outputs, &part, &mut run).x;
            if let Some(still) = &still {
                seen.made = length.steps;
                let mut run = |e: &dyn Energy| runner.run(&**still, e, x.shallow_clone(), length.quiet, rng, &mut seen);
                x = on_energy(outputs, &part.last(), &mut run).x;
            }
            ends.push(x);
            first += count;
        }
        runner.take_notice().iter().for_each(|notice| log::info!("{notice}"));
        let x = Tensor::cat(&ends, 0);
        ensure_finite(&x, "chains", "end in numbers that are not finite")?;
        Ok(x)
    }

    /// The kernel of the chains, and that of the steps after them without noise, if there are any.
    fn kernels(&self, length: Length) -> Result<Kernels> {
        let kernel = self.sampler.kernel.build(length.steps);
        if length.quiet == 0 {
            return Ok((kernel, None));
        }
        match kernel.without_noise() {
            Some(still) => Ok((kernel, Some(still))),
            None => Err(Error::input(
                "steps without noise",
                format!("the kernel `{}` has no step without noise", self.sampler.kernel.word()),
                "leave --final-steps out, or sample with the kernel langevin",
            )),
        }
    }

    /// The copy of the model that chains run on, `batch` of them side by side.
    fn frozen(&self, kernel: &dyn Kernel, batch: i64) -> Box<dyn FrozenModel> {
        let (mut resolved, mode) = (self.compute.clone(), self.sampler.network_mode.mode());
        resolve_auto(&mut resolved, mode, self.model, batch as usize);
        self.model
            .freeze(chain_form(&resolved, mode, kernel.facts().temperature))
    }
}

/// What moves chains, and what moves them after that without noise.
type Kernels = (Box<dyn Kernel>, Option<Box<dyn Kernel>>);

/// Runs chains on the energy that `target` names.
fn on_energy(of: &dyn Outputs, target: &Target, run: &mut dyn FnMut(&dyn Energy) -> ChainOutput) -> ChainOutput {
    let condition = match target {
        Target::Any => Condition::Any,
        Target::Classes(classes) => Condition::Class(classes),
        Target::Between { from, to } => Condition::Between { from, to },
    };
    run(&of.given(condition))
}
