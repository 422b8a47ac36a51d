//! Runs a kernel for many steps without a look back at the host.

use tch::{Kind, Tensor};

use super::kernel::{ChainState, Kernel};
use crate::energy::Energy;
use crate::rng::Stream;

/// Where chains ended, and what they met on the way.
#[derive(Debug)]
pub struct ChainOutput {
    /// The last states, `[B,C,H,W]`, f32.
    pub x: Tensor,
    /// Mean over images and steps of the gradient's norm before clipping, `[]`, on the device; 0 for no steps.
    pub grad_norm: Tensor,
}

/// Runs a batch of chains from `x` for `n_steps`; `x` itself is left as it is.
pub fn run_chain(kernel: &dyn Kernel, energy: &dyn Energy, x: Tensor, n_steps: usize, rng: &mut Stream) -> ChainOutput {
    run_chain_watched(kernel, energy, x, n_steps, rng, &mut |_, _| {})
}

/// The same; `watch` sees the number of steps made and the states, at the start (0) and after every step.
///
/// The states it sees are overwritten by the next step: it copies what it keeps.
pub fn run_chain_watched(
    kernel: &dyn Kernel,
    energy: &dyn Energy,
    x: Tensor,
    n_steps: usize,
    rng: &mut Stream,
    watch: &mut dyn FnMut(usize, &Tensor),
) -> ChainOutput {
    let mut state = ChainState::new(&x);
    drop(x);
    let mut norms = Tensor::zeros(state.x.size()[0], (Kind::Float, state.x.device()));
    watch(0, &state.x);
    for k in 1..=n_steps {
        let (next, info) = kernel.step(energy, state, rng);
        state = next;
        let _ = norms.g_add_(&info.grad_norm);
        watch(k, &state.x);
    }
    let grad_norm = norms.mean(Kind::Float) / n_steps.max(1) as f64;
    ChainOutput { x: state.x, grad_norm }
}
