//! The last step of a chain as part of a graph: where it ends is differentiable in the energy's parameters.

use tch::Tensor;

use super::langevin::{Langevin, norms};
use crate::config::{GradClip, StepPart};
use crate::energy::{Energy, energy_and_grad_with_graph};
use crate::rng::Stream;

/// x = clamp(x_before - step_size * clip(grad E(x_before))), differentiable in the parameters of `live` through the
/// gradient (Du et al. 2021); `x_before` is a constant.
pub fn last_step(
    live: &dyn Energy,
    x_before: &Tensor,
    step_size: f64,
    clip: Option<GradClip>,
    clamp: Option<[f64; 2]>,
) -> Tensor {
    let grad = energy_and_grad_with_graph(live, x_before).grad;
    tch::with_grad(|| {
        let x = x_before.detach() - clipped(grad, clip) * step_size;
        match clamp {
            Some([low, high]) => x.clamp(low, high),
            None => x,
        }
    })
}

fn clipped(grad: Tensor, clip: Option<GradClip>) -> Tensor {
    match clip {
        None => grad,
        Some(GradClip::Value(limit)) => grad.clamp(-limit, limit),
        Some(GradClip::Norm(limit)) => {
            let norm = norms(&grad).clamp_min(limit).view([-1, 1, 1, 1]);
            grad * (norm.reciprocal() * limit)
        }
    }
}

impl Langevin {
    /// Step `k` (from 0) from `x`, with its parts in their order, as [`last_step`] takes it: the numbers of
    /// [`step`](super::Kernel::step), and differentiable in the parameters of `live`.
    ///
    /// # Panics
    /// With inner steps.
    pub fn step_with_graph(&self, live: &dyn Energy, x: &Tensor, k: usize, rng: &mut Stream) -> Tensor {
        assert!(self.inner.is_none(), "inner steps have no graph");
        let mut x = x.detach();
        for part in &self.order {
            x = match part {
                StepPart::Gradient => {
                    if live.draws() {
                        rng.arm();
                    }
                    last_step(live, &x, self.step_size_at(k), self.grad_clip, None)
                }
                StepPart::Noise => match self.noise_scale_at(k) {
                    scale if scale > 0.0 => {
                        rng.arm();
                        &x + x.detach().empty_like().normal_(0.0, scale)
                    }
                    _ => x,
                },
                StepPart::Clamp => {
                    let [low, high] = self.clamp.expect("a clamp in the order comes with its interval");
                    x.clamp(low, high)
                }
            };
        }
        x
    }
}
