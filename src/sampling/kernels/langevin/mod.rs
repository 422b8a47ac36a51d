//! Langevin dynamics with the parts of a step in any order, as each published recipe has them.

mod config;
mod graph;
mod schedule;
mod section;

pub use config::{ChainSchedule, GradClip, InnerConfig, LangevinConfig, StepPart};

use tch::Tensor;

use crate::energy::{Energy, energy_and_grad, pull_back, staged_energy_and_grad};
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, GraphStep, Kernel, Needs, StepInfo};
use crate::space::{each, norms};

/// x' = x - step_size * clip(grad E(x)) + noise_scale * z, without a Metropolis test (Roberts & Tweedie 1996).
///
/// The gradient is taken where the chain is when its turn comes: after the noise where noise comes first.
///
/// Where `noise_scale` is null, the noise of step k is `sqrt(2 * step_size_k * T)` with the step size of *that* step,
/// so that every step is a right one at temperature T whatever `step_schedule` does; the factor of `noise_schedule`
/// multiplies it on top and anneals the temperature by its square. A `noise_scale` that is given follows
/// `noise_schedule` alone.
///
/// With [`InnerConfig`] a gradient step goes on through the network's first layer alone. To first order its N inner steps
/// add N times their size to the step size, which is what the noise of a temperature, and the temperature of a noise,
/// then count with.
#[derive(Debug, Clone)]
pub struct Langevin {
    step_size: f64,
    inner: Option<InnerConfig>,
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
    pub fn new(cfg: &LangevinConfig, n_steps: usize) -> Self {
        let default_order = || {
            let clamp = cfg.clamp.map(|_| StepPart::Clamp);
            [StepPart::Gradient, StepPart::Noise].into_iter().chain(clamp).collect()
        };
        Self {
            step_size: cfg.step_size,
            inner: cfg.inner,
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

    /// The same chain after its last step, without noise: every step is of the last one's size.
    pub fn still(&self) -> Self {
        let factor = self.step_schedule.factor(self.n_steps, self.n_steps);
        Self {
            step_size: self.step_size * factor,
            inner: self.inner.map(|i| InnerConfig {
                step_size: i.step_size * factor,
                ..i
            }),
            noise: Noise::Scale(0.0),
            step_schedule: ChainSchedule::Constant,
            noise_schedule: ChainSchedule::Constant,
            ..self.clone()
        }
    }

    /// The standard deviation of the first step's noise.
    pub fn noise_scale(&self) -> f64 {
        self.noise_scale_at(0)
    }

    /// T of the target exp(-E/T): given, or implied by the first step's noise and its size, inner steps included (then exact only
    /// without clipping and clamping); 0 for a chain without noise.
    pub fn temperature(&self) -> f64 {
        match self.noise {
            Noise::Scale(scale) => scale * scale / (2.0 * self.whole_step()),
            Noise::Temperature(t) => t,
        }
    }

    /// What multiplies the whole gradient at step `k`, counted from 0.
    pub fn step_size_at(&self, k: usize) -> f64 {
        self.step_size * self.step_schedule.factor(k, self.n_steps)
    }

    /// The standard deviation of the noise of step `k`, counted from 0.
    pub fn noise_scale_at(&self, k: usize) -> f64 {
        let factor = self.noise_schedule.factor(k, self.n_steps);
        match self.noise {
            Noise::Scale(scale) => scale * factor,
            Noise::Temperature(t) => {
                let step = self.whole_step() * self.step_schedule.factor(k, self.n_steps);
                (2.0 * step * t).sqrt() * factor
            }
        }
    }

    /// The first step's size, inner steps included.
    fn whole_step(&self) -> f64 {
        self.step_size + self.inner.map_or(0.0, |i| i.steps as f64 * i.step_size)
    }

    /// Moves `x` against the clipped gradient, then by the inner steps, if any; returns the norms before clipping.
    ///
    /// For an energy that draws in a pass, `rng` seeds before each one, so that a chain can be repeated.
    fn descend(&self, energy: &dyn Energy, s: &mut ChainState, rng: &mut Stream) -> Tensor {
        let mut seed = || energy.draws().then(|| rng.seed_next());
        seed();
        let Some(inner) = self.inner else {
            let grad = energy_and_grad(energy, &s.x).grad;
            let norm = norms(&grad);
            self.move_against(&grad, &norm, self.step_size_at(s.step), s);
            return norm;
        };
        let stages = energy.stages().expect("inner steps are for energies in two stages");
        let found = staged_energy_and_grad(stages, &s.x);
        let norm = norms(&found.whole.grad);
        if self.step_size > 0.0 {
            self.move_against(&found.whole.grad, &norm, self.step_size_at(s.step), s);
            self.clamp(s);
        }
        let step = inner.step_size * self.step_schedule.factor(s.step, self.n_steps);
        for _ in 0..inner.steps {
            seed();
            let grad = pull_back(stages, &s.x, &found.upstream);
            self.move_against(&grad, &norms(&grad), step, s);
            self.clamp(s);
        }
        norm
    }

    /// x -= step * clip(grad), where `norm` is the norm of each image's gradient, `[B]`.
    fn move_against(&self, grad: &Tensor, norm: &Tensor, step: f64, s: &mut ChainState) {
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
                let _ = s.x.addcmul_(grad, &each(&factor, grad));
            }
        }
    }

    /// Keeps `x` in the interval, where one is given.
    fn clamp(&self, s: &mut ChainState) {
        if let Some([low, high]) = self.clamp {
            let _ = s.x.clamp_(low, high);
        }
    }

    /// Adds the noise of this step; draws nothing where there is none.
    fn diffuse(&self, s: &mut ChainState, rng: &mut Stream) {
        let scale = self.noise_scale_at(s.step);
        if scale > 0.0 {
            rng.seed_next();
            let _ = s.scratch.normal_(0.0, scale);
            let _ = s.x.g_add_(&s.scratch);
        }
    }
}

impl Kernel for Langevin {
    fn facts(&self) -> Facts {
        let needs = if self.inner.is_some() {
            Needs::Stages
        } else {
            Needs::Gradients
        };
        Facts {
            random: (0..self.n_steps.max(1)).any(|k| self.noise_scale_at(k) > 0.0),
            interval: self.clamp,
            ends_inside: self.order.last() == Some(&StepPart::Clamp),
            ..Facts::of(self.temperature(), needs)
        }
    }

    /// # Panics
    /// With inner steps, for an energy without [`stages`](Energy::stages).
    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let mut grad_norm = None;
        for part in &self.order {
            match part {
                StepPart::Gradient => grad_norm = Some(self.descend(energy, &mut s, rng)),
                StepPart::Noise => self.diffuse(&mut s, rng),
                StepPart::Clamp => self.clamp(&mut s),
            }
        }
        s.step += 1;
        assert!(grad_norm.is_some(), "a step has a gradient");
        let info = StepInfo {
            grad_norm,
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        let inner = self.inner.map_or_else(String::new, |i| {
            format!(", {} inner steps of {} in each", i.steps, i.step_size)
        });
        let (step, noise) = (self.step_size, self.noise_scale());
        format!("step_size {step}{inner} and noise_scale {noise:.4e}")
    }

    fn without_noise(&self) -> Option<Box<dyn Kernel>> {
        Some(Box::new(self.still()))
    }

    fn with_graph(&self) -> Option<&dyn GraphStep> {
        self.inner.is_none().then_some(self)
    }

    fn identity(&self) -> Option<String> {
        let constant = [self.step_schedule, self.noise_schedule] == [ChainSchedule::Constant; 2];
        constant.then(|| format!("{self:?}"))
    }
}
