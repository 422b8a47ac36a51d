//! Underdamped Langevin dynamics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, look, started};
use crate::space::norms;

/// dx = p dt, dp = -grad E(x) dt - friction p dt + sqrt(2 friction T) dW in steps h of the splitting
/// BAOAB (Leimkuhler & Matthews 2013): half a kick by the gradient, half a drift, friction and noise
/// exactly, half a drift, half a kick.
///
/// A step costs one gradient and never rejects. Its error in averages over x is of second order in
/// h, and none for a Gaussian target; h must stay below 2 over the root of the largest curvature of
/// E. Chains start with fresh momenta N(0, T).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Underdamped {
    /// h, the time of a step.
    pub step_size: f64,
    /// How fast momenta are forgotten, in units of 1 / time.
    #[serde(default = "crate::config::one")]
    pub friction: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

impl KernelSpec for Underdamped {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.positive("friction", self.friction)?;
        c.positive("temperature", self.temperature)
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.4,
            friction: 1.5,
            temperature: 1.0,
        }
    }
}

impl Kernel for Underdamped {
    fn facts(&self) -> Facts {
        Facts::of(self.temperature, Needs::Gradients)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        let mut state = started(energy, x, rng);
        let momentum = rng.normal(&state.x.size(), state.x.device()) * self.temperature.sqrt();
        state.momentum = Some(momentum);
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let half = self.step_size / 2.0;
        let kept = (-self.friction * self.step_size).exp();
        let noise = ((1.0 - kept * kept) * self.temperature).sqrt();
        let p = s.momentum.take().expect("chains start with momenta");
        let p = p - &at_x.grad * half;
        s.x = &s.x + &p * half;
        let p = p * kept + rng.normal(&s.x.size(), s.x.device()) * noise;
        s.x = &s.x + &p * half;
        let found = look(energy, &s.x, rng);
        s.momentum = Some(p - &found.grad * half);
        s.step += 1;
        let info = StepInfo {
            grad_norm: Some(norms(&found.grad)),
            energy: Some(found.energy.shallow_clone()),
            ..StepInfo::default()
        };
        (s.energy, s.grad) = (Some(found.energy), Some(found.grad));
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "underdamped Langevin dynamics, step_size {}, friction {}",
            self.step_size, self.friction
        )
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}
