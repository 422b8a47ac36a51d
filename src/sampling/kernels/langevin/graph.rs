//! A Langevin step as part of a graph: where it ends is differentiable in where it began, and in the energy's parameters.

use tch::Tensor;

use super::{GradClip, Langevin, StepPart};
use crate::energy::{Energy, energy_and_grad_with_graph};
use crate::sampling::kernel::GraphStep;
use crate::space::{each, sum_each};

impl GraphStep for Langevin {
    /// The same numbers as a step of the chain, through the gradient of the energy, its clipping and
    /// the clamp.
    fn step_with_graph(&self, energy: &dyn Energy, x: &Tensor, noise: &Tensor, k: usize) -> Tensor {
        tch::with_grad(|| {
            self.order.iter().fold(x.shallow_clone(), |x, part| match part {
                StepPart::Gradient => {
                    let grad = energy_and_grad_with_graph(energy, &x).grad;
                    x + self.clipped(grad) * -self.step_size_at(k)
                }
                StepPart::Noise if self.noise_scale_at(k) > 0.0 => x + noise * self.noise_scale_at(k),
                StepPart::Noise => x,
                StepPart::Clamp => {
                    let [low, high] = self.clamp.expect("a clamp in the order comes with its interval");
                    x.clamp(low, high)
                }
            })
        })
    }
}

impl Langevin {
    /// The gradient as a step uses it, differentiable.
    fn clipped(&self, grad: Tensor) -> Tensor {
        match self.grad_clip {
            None => grad,
            Some(GradClip::Value(limit)) => grad.clamp(-limit, limit),
            Some(GradClip::Norm(limit)) => {
                // The root has no slope at 0: a gradient that small is below the limit whatever it is.
                let squares = each(&sum_each(&grad.square()), &grad);
                let norm = squares.clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
                &grad * (norm.reciprocal() * limit).clamp_max(1.0)
            }
        }
    }
}
