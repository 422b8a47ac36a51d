//! Runs a kernel for many steps without a look back at the host.

use tch::{Kind, Tensor};

use super::kernel::{ChainState, Kernel, StepInfo};
use super::positions::Positions;
use crate::energy::Energy;
use crate::rng::Stream;

/// Where chains ended, and what they met on the way.
#[derive(Debug)]
pub struct ChainOutput {
    /// The last states, `[B,..]`, f32.
    pub x: Tensor,
    /// The last states of the replicas, coldest first, `[B,..]` each, of kernels that keep them.
    pub replicas: Vec<Tensor>,
    /// Mean over chains and steps of the gradient's norm before clipping, `[]`, on the device; 0
    /// for no steps, and of kernels that take no gradient.
    pub grad_norm: Tensor,
    /// Mean over chains and steps of the acceptance, `[]`, on the device, of kernels that reject.
    pub accept: Option<Tensor>,
}

impl From<&ChainOutput> for Positions {
    fn from(end: &ChainOutput) -> Self {
        Self {
            x: end.x.shallow_clone(),
            replicas: end.replicas.iter().map(Tensor::shallow_clone).collect(),
        }
    }
}

/// Who looks on while chains run.
///
/// A function of the number of steps made and the states is one: it is called at the start, with 0,
/// and after every step.
pub trait Watch {
    /// The chains have not moved yet. A watcher that tunes writes the first `step_size`.
    fn started(&mut self, _state: &mut ChainState) {}

    /// `k` steps are made. A watcher that tunes writes `state.step_size`; no other changes anything.
    ///
    /// The next step overwrites the tensors: a watcher copies what it keeps.
    fn seen(&mut self, k: usize, state: &mut ChainState, info: &StepInfo);
}

impl<F: FnMut(usize, &Tensor)> Watch for F {
    fn started(&mut self, state: &mut ChainState) {
        self(0, &state.x);
    }

    fn seen(&mut self, k: usize, state: &mut ChainState, _: &StepInfo) {
        self(k, &state.x);
    }
}

/// Two watchers, the first of which is called first.
pub struct Both<'a>(pub &'a mut dyn Watch, pub &'a mut dyn Watch);

impl Watch for Both<'_> {
    fn started(&mut self, state: &mut ChainState) {
        self.0.started(state);
        self.1.started(state);
    }

    fn seen(&mut self, k: usize, state: &mut ChainState, info: &StepInfo) {
        self.0.seen(k, state, info);
        self.1.seen(k, state, info);
    }
}

/// Runs a batch of chains for `n_steps` from where they are, which is left as it is.
pub fn run_chain(
    kernel: &dyn Kernel,
    energy: &dyn Energy,
    from: impl Into<Positions>,
    n_steps: usize,
    rng: &mut Stream,
) -> ChainOutput {
    run_chain_watched(kernel, energy, from, n_steps, rng, &mut |_: usize, _: &Tensor| {})
}

/// The same under the eyes of `watch`.
pub fn run_chain_watched(
    kernel: &dyn Kernel,
    energy: &dyn Energy,
    from: impl Into<Positions>,
    n_steps: usize,
    rng: &mut Stream,
    watch: &mut dyn Watch,
) -> ChainOutput {
    energy.prepare(1, n_steps);
    let from = from.into();
    let mut state = from.start(kernel, energy, rng);
    drop(from);
    let mut sums = Sums::new(&state);
    watch.started(&mut state);
    for k in 1..=n_steps {
        energy.prepare(k, n_steps);
        if energy.changes() {
            (state.energy, state.grad) = (None, None);
        }
        let (next, info) = kernel.step(energy, state, rng);
        state = next;
        sums.add(&info);
        watch.seen(k, &mut state, &info);
    }
    let replicas = state.replicas.into_iter().map(|replica| replica.x);
    sums.output(state.x, replicas.collect(), n_steps)
}

/// Sums over the steps of what they told, `[B]` each.
#[derive(Debug)]
pub(super) struct Sums {
    norms: Tensor,
    accept: Option<Tensor>,
}

impl Sums {
    /// Nothing summed yet for the chains of `state`.
    pub fn new(state: &ChainState) -> Self {
        Self {
            norms: Tensor::zeros(state.x.size()[0], (Kind::Float, state.x.device())),
            accept: None,
        }
    }

    /// Adds what a step told.
    pub fn add(&mut self, info: &StepInfo) {
        if let Some(norm) = &info.grad_norm {
            let _ = self.norms.g_add_(norm);
        }
        if let Some(accept) = &info.accept_prob {
            let sum = self.accept.get_or_insert_with(|| accept.zeros_like());
            let _ = sum.g_add_(accept);
        }
    }

    /// Starts anew in the same memory.
    pub fn zero(&mut self) {
        let _ = self.norms.zero_();
        if let Some(accept) = &mut self.accept {
            let _ = accept.zero_();
        }
    }

    /// The output of chains that ended at `x`, with these replicas, after `n_steps`.
    pub fn output(&self, x: Tensor, replicas: Vec<Tensor>, n_steps: usize) -> ChainOutput {
        let mean = |sum: &Tensor| sum.mean(Kind::Float) / n_steps.max(1) as f64;
        ChainOutput {
            x,
            replicas,
            grad_norm: mean(&self.norms),
            accept: self.accept.as_ref().map(mean),
        }
    }
}
