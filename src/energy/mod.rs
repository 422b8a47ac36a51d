//! Energies of images, low where likely, and their gradients with respect to the images.

mod compose;
mod network;
mod stages;

pub use compose::{GaussianReference, Sum, Tempered};
pub use network::{ClassEnergy, FrozenEnergy, LiveEnergy, joint, marginal};
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

    /// Whether a pass draws from torch's global generator, which is to be [armed](crate::rng::Stream::arm) before it.
    fn draws(&self) -> bool {
        false
    }
}

impl<E: Energy + ?Sized> Energy for &E {
    fn energy(&self, x: &Tensor) -> Tensor {
        (**self).energy(x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        (**self).stages()
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }
}

impl<E: Energy + ?Sized> Energy for Box<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        (**self).energy(x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        (**self).stages()
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }
}

/// Energies of a batch and their gradients; cut off from any graph where the function that gives them does not say else.
#[derive(Debug)]
pub struct EnergyGrad {
    /// `[B]`
    pub energy: Tensor,
    /// dE/dx, of the shape of the images.
    pub grad: Tensor,
}

/// Energies of a batch and their gradients with respect to the images, in one backward pass.
///
/// Only what leads to the images is differentiated: no parameter gets a gradient, even where it requires one.
/// It does not matter whether the caller has switched gradients off.
pub fn energy_and_grad(energy: &(impl Energy + ?Sized), x: &Tensor) -> EnergyGrad {
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

/// The same with a graph behind both: they stay differentiable in the energy's parameters, though not in `x`'s past.
///
/// Improved contrastive divergence differentiates through the last step of a chain so (Du et al. 2021).
pub fn energy_and_grad_with_graph(energy: &(impl Energy + ?Sized), x: &Tensor) -> EnergyGrad {
    tch::with_grad(|| {
        let x = x.detach().set_requires_grad(true);
        let energy = energy.energy(&x);
        let total = energy.sum(energy.kind());
        let grad = Tensor::run_backward(&[total], &[x], true, true).remove(0);
        EnergyGrad { energy, grad }
    })
}
