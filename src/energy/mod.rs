//! Energies of images, low where likely, and their gradients with respect to the images.

mod compose;
mod condition;
mod conditioned;
mod finite;
mod head;
mod logits;
mod network;
mod outputs;
mod path;
mod stages;

pub use compose::{GaussianReference, Sum, Tempered};
pub use condition::{Condition, draw_classes, halfway};
pub use conditioned::Conditioned;
pub use finite::ensure_finite;
pub use head::Head;
pub use logits::{joint, marginal};
pub use network::{FrozenEnergy, LiveEnergy};
pub use outputs::{Outputs, Slope};
pub use path::{Boxed, Flat, Path};
pub use stages::{StagedGrad, Stages, pull_back, staged_energy_and_grad};

use tch::Tensor;

/// A number for every image: low is likely.
pub trait Energy {
    /// Energies `[B]`, f32, of images `[B,C,H,W]`, f32; differentiable in the images.
    fn energy(&self, x: &Tensor) -> Tensor;

    /// The same energy cut behind its first layer, where it is a function of that layer's output alone.
    fn stages(&self) -> Option<&dyn Stages> {
        None
    }

    /// Energies and gradients at `x` by a faster way than autograd, where the energy has one; cut off from any graph.
    fn direct(&self, _x: &Tensor) -> Option<EnergyGrad> {
        None
    }

    /// The energy at levels of noise, `[]` or one a state, `[B]`, where there is one for each level.
    fn at_level(&self, _sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        None
    }

    /// Whether a pass draws from torch's global generator, which is to be
    /// [seeded](crate::rng::Stream::seed_next) before it.
    fn draws(&self) -> bool {
        false
    }

    /// The host's part of step `k` (from 1) of a chain of `n`, of an energy that changes along it.
    fn prepare(&self, _k: usize, _n: usize) {}

    /// Whether [`prepare`](Self::prepare) changes it: what was found at one step does not hold at the
    /// next.
    fn changes(&self) -> bool {
        false
    }

    /// What tells this function from others, where it depends on no more than that.
    ///
    /// On CUDA a chain's step on an energy that says so can be recorded and replayed.
    fn identity(&self) -> Option<Identity> {
        None
    }
}

impl<E: Energy + ?Sized> Energy for &E {
    fn energy(&self, x: &Tensor) -> Tensor {
        (**self).energy(x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        (**self).stages()
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        (**self).direct(x)
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        (**self).at_level(sigma)
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }

    fn prepare(&self, k: usize, n: usize) {
        (**self).prepare(k, n)
    }

    fn changes(&self) -> bool {
        (**self).changes()
    }

    fn identity(&self) -> Option<Identity> {
        (**self).identity()
    }
}

impl<E: Energy + ?Sized> Energy for Box<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        (**self).energy(x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        (**self).stages()
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        (**self).direct(x)
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        (**self).at_level(sigma)
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }

    fn prepare(&self, k: usize, n: usize) {
        (**self).prepare(k, n)
    }

    fn changes(&self) -> bool {
        (**self).changes()
    }

    fn identity(&self) -> Option<Identity> {
        (**self).identity()
    }
}

/// What a function of states is made of: two of the same words that read the very same memory are
/// the same function.
#[derive(Debug)]
pub struct Identity {
    /// The numbers of the host that it depends on, in words.
    pub words: String,
    /// Every tensor that a pass reads beside the states, in a fixed order.
    pub reads: Vec<Tensor>,
}

/// Energies of a batch and their gradients; cut off from any graph where the function that gives them does not say else.
#[derive(Debug)]
pub struct EnergyGrad {
    /// `[B]`
    pub energy: Tensor,
    /// dE/dx, of the shape of the images.
    pub grad: Tensor,
}

/// Energies of a batch and their gradients with respect to the images, in one backward pass: by the energy's own way
/// where it has one, else by autograd.
///
/// Only what leads to the images is differentiated: no parameter gets a gradient, even where it requires one.
/// It does not matter whether the caller has switched gradients off.
pub fn energy_and_grad(energy: &(impl Energy + ?Sized), x: &Tensor) -> EnergyGrad {
    energy.direct(x).unwrap_or_else(|| by_autograd(energy, x))
}

fn by_autograd(energy: &(impl Energy + ?Sized), x: &Tensor) -> EnergyGrad {
    tch::with_grad(|| {
        let x = x.detach().set_requires_grad(true);
        let e = energy.energy(&x);
        // Each energy depends on its own image alone, so the gradient of the sum holds them all.
        let total = e.sum(e.kind());
        let grad = Tensor::run_backward(&[total], &[x], false, false).remove(0);
        EnergyGrad {
            energy: e.detach(),
            grad,
        }
    })
}

/// The same, in a graph: energies and gradients can themselves be differentiated, with respect to `x` and whatever it
/// was made from, and with respect to the energy's parameters.
///
/// Improved contrastive divergence learns through the last step of a chain so, and an attack goes this way through a defence that moves images by Langevin steps. The graph of a chain holds every
/// step's activations, so memory grows with its length.
pub fn energy_and_grad_with_graph(energy: &(impl Energy + ?Sized), x: &Tensor) -> EnergyGrad {
    tch::with_grad(|| {
        let x = match x.requires_grad() {
            true => x.shallow_clone(),
            false => x.detach().set_requires_grad(true),
        };
        let e = energy.energy(&x);
        let total = e.sum(e.kind());
        let grad = Tensor::run_backward(&[&total], &[&x], true, true).remove(0);
        EnergyGrad { energy: e, grad }
    })
}
