//! An energy cut behind its first layer, so that a gradient can be carried through that layer alone.

use tch::{Kind, Tensor};

use super::EnergyGrad;

/// A function of a state as rest(first(x)): an energy, or the raw output that it is made of.
pub trait Stages {
    /// What the first layer gives, f32, for images `[B,C,H,W]`; differentiable in them.
    fn first(&self, x: &Tensor) -> Tensor;

    /// The value, `[B]` of an energy, from what [`first`](Self::first) gave, which is left as it is;
    /// differentiable in it.
    fn rest(&self, h: &Tensor) -> Tensor;
}

/// What a full pass through both stages finds, cut off from any graph.
#[derive(Debug)]
pub struct StagedGrad {
    /// Energies and their gradients with respect to the images.
    pub whole: EnergyGrad,
    /// dE/dh, of the shape of the first layer's output h.
    pub upstream: Tensor,
}

/// Energies with their gradients at the images and at the first layer's output, in one backward pass.
pub fn staged_energy_and_grad(stages: &dyn Stages, x: &Tensor) -> StagedGrad {
    tch::with_grad(|| {
        let x = x.detach().set_requires_grad(true);
        let h = stages.first(&x);
        let energy = stages.rest(&h);
        let total = energy.sum(Kind::Float);
        let [grad, upstream] = Tensor::run_backward(&[total], &[&x, &h], false, false)
            .try_into()
            .expect("a gradient for each of two tensors");
        let energy = energy.detach();
        StagedGrad {
            whole: EnergyGrad { energy, grad },
            upstream,
        }
    })
}

/// grad_x <first(x), upstream>: the energy's gradient at `x` if `upstream` were dE/dh there; only the first layer is
/// passed through.
pub fn pull_back(stages: &dyn Stages, x: &Tensor, upstream: &Tensor) -> Tensor {
    tch::with_grad(|| {
        let x = x.detach().set_requires_grad(true);
        let product = (stages.first(&x) * upstream).sum(Kind::Float);
        Tensor::run_backward(&[product], &[x], false, false).remove(0)
    })
}
