//! A Langevin step as part of a graph: where it ends is differentiable in where it began, and in the energy's parameters.

use tch::Tensor;

use super::config::{GradClip, StepPart};
use super::langevin::Langevin;
use crate::energy::{Energy, energy_and_grad_with_graph};
use crate::rng::Stream;

impl Langevin {
    /// Step `k` (from 0) of chains at `x`, `[B,C,H,W]`, in a graph: what comes out can be differentiated with respect to
    /// `x` and to the parameters of `energy`, through the gradient of the energy, its clipping and the clamp. The same
    /// numbers as [`step`](super::Kernel::step).
    ///
    /// # Panics
    /// With inner steps, whose graph is not kept.
    pub fn step_with_graph(&self, energy: &dyn Energy, x: &Tensor, k: usize, rng: &mut Stream) -> Tensor {
        assert!(self.inner.is_none(), "inner steps have no graph");
        tch::with_grad(|| {
            self.order.iter().fold(x.shallow_clone(), |x, part| match part {
                StepPart::Gradient => {
                    if energy.draws() {
                        rng.arm();
                    }
                    let grad = energy_and_grad_with_graph(energy, &x).grad;
                    x + self.clipped(grad) * -self.step_size_at(k)
                }
                StepPart::Noise if self.noise_scale_at(k) > 0.0 => {
                    let mut noise = x.detach().empty_like();
                    rng.arm();
                    let _ = noise.normal_(0.0, self.noise_scale_at(k));
                    x + noise
                }
                StepPart::Noise => x,
                StepPart::Clamp => {
                    let [low, high] = self.clamp.expect("a clamp in the order comes with its interval");
                    x.clamp(low, high)
                }
            })
        })
    }

    /// The gradient as a step uses it, differentiable.
    fn clipped(&self, grad: Tensor) -> Tensor {
        match self.grad_clip {
            None => grad,
            Some(GradClip::Value(limit)) => grad.clamp(-limit, limit),
            Some(GradClip::Norm(limit)) => {
                // The root has no slope at 0: a gradient that small is below the limit whatever it is.
                let squares = grad
                    .square()
                    .sum_dim_intlist([1i64, 2, 3].as_slice(), true, grad.kind());
                let norm = squares.clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
                &grad * (norm.reciprocal() * limit).clamp_max(1.0)
            }
        }
    }
}
