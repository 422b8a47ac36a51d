//! What every Markov kernel shares: the state of a batch of chains, and a step.

use tch::{Kind, Tensor};

use crate::energy::{Energy, EnergyGrad};
use crate::rng::Stream;

/// A batch of chains between two steps.
#[derive(Debug)]
pub struct ChainState {
    /// Where the chains are, `[B,C,H,W]`, f32.
    pub x: Tensor,
    /// Energy and gradient at `x`, for kernels that carry them from one step to the next.
    pub at_x: Option<EnergyGrad>,
    /// How many steps were made.
    pub step: usize,
    /// Memory of the shape of `x` that a step may use as it likes.
    pub scratch: Tensor,
}

impl ChainState {
    /// Chains before their first step; `x` is copied, so what the caller holds stays as it is.
    pub fn new(x: &Tensor) -> Self {
        let start = x.detach();
        let mut own = Tensor::empty(start.size(), (Kind::Float, start.device()));
        own.copy_(&start);
        Self {
            scratch: own.empty_like(),
            x: own,
            at_x: None,
            step: 0,
        }
    }
}

/// What a person may want to know of a step; it stays on the device.
#[derive(Debug)]
pub struct StepInfo {
    /// The probability with which each proposal was accepted, `[B]`, for kernels that reject.
    pub accept_prob: Option<Tensor>,
    /// The Euclidean norm of each image's gradient before any clipping, `[B]`.
    pub grad_norm: Tensor,
}

/// A Markov kernel: it holds parameters only; state and randomness go in and come out.
pub trait Kernel {
    /// One step of every chain of the batch.
    fn step(&self, energy: &dyn Energy, state: ChainState, rng: &mut Stream) -> (ChainState, StepInfo);

    /// Where every step does the same whatever its number, a text that tells this kernel with its parameters from others;
    /// else none.
    ///
    /// Such a step leaves `at_x` empty and takes nothing from the host but the kernel's own parameters, so on CUDA it is
    /// recorded once and replayed. Without it, every step is run by itself.
    fn homogeneous(&self) -> Option<String> {
        None
    }
}
