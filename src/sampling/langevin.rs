//! Langevin dynamics with the parts of a step in any order, as each published recipe has them.

use tch::Tensor;

use super::kernel::{ChainState, Kernel, StepInfo};
use crate::config::{ChainSchedule, GradClip, SamplerConfig, StepPart};
use crate::energy::{Energy, energy_and_grad, energy_and_grad_with_graph};
use crate::rng::Stream;

/// x' = x - step_size * clip(grad E(x)) + noise_scale * z, without a Metropolis test (Roberts & Tweedie 1996).
///
/// The gradient is taken where the chain is when its turn comes: after the noise where noise comes first.
///
/// Where `noise_scale` is null, the noise of step k is `sqrt(2 * step_size_k * T)` with the step size of *that* step,
/// so that every step is a right one at temperature T whatever `step_schedule` does; the factor of `noise_schedule`
/// multiplies it on top and anneals the temperature by its square. A `noise_scale` that is given follows
/// `noise_schedule` alone.
#[derive(Debug, Clone)]
pub struct Langevin {
    step_size: f64,
    noise: Noise,
    step_schedule: ChainSchedule,
    noise_schedule: ChainSchedule,
    n_steps: usize,
    grad_clip: Option<GradClip>,
    clamp: Option<[f64; 2]>,
    order: Vec<StepPart>,
}

#[derive(Debug, Clone, Copy)]
enum Noise {
    /// A standard deviation.
    Scale(f64),
    /// What a temperature asks for.
    Temperature(f64),
}

impl Langevin {
    /// A kernel for chains of `n_steps`, over which the schedules run; a longer chain keeps their last values.
    pub fn new(cfg: &SamplerConfig, n_steps: usize) -> Self {
        let default_order = || {
            let clamp = cfg.clamp.map(|_| StepPart::Clamp);
            [StepPart::Gradient, StepPart::Noise].into_iter().chain(clamp).collect()
        };
        Self {
            step_size: cfg.step_size,
            noise: match cfg.noise_scale {
                Some(scale) => Noise::Scale(scale),
                None => Noise::Temperature(cfg.temperature.unwrap_or(1.0)),
            },
            step_schedule: cfg.step_schedule,
            noise_schedule: cfg.noise_schedule,
            n_steps,
            grad_clip: cfg.grad_clip,
            clamp: cfg.clamp,
            order: cfg.order.clone().unwrap_or_else(default_order),
        }
    }

    /// The standard deviation of the first step's noise.
    pub fn noise_scale(&self) -> f64 {
        self.noise_scale_at(0)
    }

    /// T of the target exp(-E/T): given, or implied by the first step's noise and step size (then exact only
    /// without clipping and clamping); 0 for a chain without noise.
    pub fn temperature(&self) -> f64 {
        match self.noise {
            Noise::Scale(scale) => scale * scale / (2.0 * self.step_size),
            Noise::Temperature(t) => t,
        }
    }

    /// What multiplies the gradient at step `k`, counted from 0.
    pub fn step_size_at(&self, k: usize) -> f64 {
        self.step_size * self.step_schedule.factor(k, self.n_steps)
    }

    /// The standard deviation of the noise of step `k`, counted from 0.
    pub fn noise_scale_at(&self, k: usize) -> f64 {
        let factor = self.noise_schedule.factor(k, self.n_steps);
        match self.noise {
            Noise::Scale(scale) => scale * factor,
            Noise::Temperature(t) => (2.0 * self.step_size_at(k) * t).sqrt() * factor,
        }
    }

    /// Step `k` (from 0) of chains at `x`, `[B,C,H,W]`, in a graph: what comes out can be differentiated with respect to
    /// `x`, through the gradient of the energy, its clipping and the clamp. The same numbers as [`step`](Kernel::step).
    pub fn step_with_graph(&self, energy: &dyn Energy, x: &Tensor, k: usize, rng: &mut Stream) -> Tensor {
        self.order.iter().fold(x.shallow_clone(), |x, part| match part {
            StepPart::Gradient => {
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
    }

    /// The gradient as a step uses it, differentiable.
    fn clipped(&self, grad: Tensor) -> Tensor {
        match self.grad_clip {
            None => grad,
            Some(GradClip::Value(limit)) => grad.clamp(-limit, limit),
            Some(GradClip::Norm(limit)) => {
                // The root has no slope at 0: a gradient that small is below the limit whatever it is.
                let norm = grad
                    .square()
                    .sum_dim_intlist([1i64, 2, 3].as_slice(), true, grad.kind());
                let norm = norm.clamp_min(f64::from(f32::MIN_POSITIVE)).sqrt();
                &grad * (norm.reciprocal() * limit).clamp_max(1.0)
            }
        }
    }

    /// Moves `x` against the clipped gradient; returns the norms before clipping.
    fn descend(&self, energy: &dyn Energy, s: &mut ChainState) -> Tensor {
        let grad = energy_and_grad(energy, &s.x).grad;
        let norm = grad.norm_scalaropt_dim(2.0, [1, 2, 3], false);
        let step = self.step_size_at(s.step);
        match self.grad_clip {
            None => {
                let _ = grad.mul_scalar_out(&s.scratch, -step);
                let _ = s.x.g_add_(&s.scratch);
            }
            Some(GradClip::Value(limit)) => {
                let _ = grad.clamp_out(&s.scratch, -limit, limit);
                let _ = s.scratch.g_mul_scalar_(-step);
                let _ = s.x.g_add_(&s.scratch);
            }
            Some(GradClip::Norm(limit)) => {
                // A zero gradient gives infinity here, which the upper limit turns into 1.
                let factor = (norm.reciprocal() * limit).clamp_max_(1.0).g_mul_scalar_(-step);
                let _ = s.x.addcmul_(&grad, &factor.view([-1, 1, 1, 1]));
            }
        }
        norm
    }

    /// Adds the noise of this step; draws nothing where there is none.
    fn diffuse(&self, s: &mut ChainState, rng: &mut Stream) {
        let scale = self.noise_scale_at(s.step);
        if scale > 0.0 {
            rng.arm();
            let _ = s.scratch.normal_(0.0, scale);
            let _ = s.x.g_add_(&s.scratch);
        }
    }
}

impl Kernel for Langevin {
    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let mut grad_norm = None;
        for part in &self.order {
            match part {
                StepPart::Gradient => grad_norm = Some(self.descend(energy, &mut s)),
                StepPart::Noise => self.diffuse(&mut s, rng),
                StepPart::Clamp => {
                    let [low, high] = self.clamp.expect("a clamp in the order comes with its interval");
                    let _ = s.x.clamp_(low, high);
                }
            }
        }
        s.step += 1;
        let grad_norm = grad_norm.expect("a step has a gradient");
        let info = StepInfo {
            accept_prob: None,
            grad_norm,
        };
        (s, info)
    }
}
