//! The way from noise to data of an energy that was learned by matching it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::space::norms;

/// x <- x - step_size grad E(x) + sqrt(2 step_size T(t)) z at the times t = 0, step_size, 2 step_size and
/// so on: T(t) is 0 before the time `until`, rises linearly to `heat` at 1, and stays (Balcerak et al. 2025).
///
/// Of an energy that `flow-matching` has learned it carries noise to the data in 1 / `step_size` steps;
/// then it is Langevin dynamics at temperature `heat`, biased as `langevin` is. It is for chains that start
/// at the noise of that term: `sampler.init: {gaussian: {mean: 0, std: 1}}`. A step costs one gradient.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transport {
    /// The time of a step.
    #[serde(default = "hundredth")]
    pub step_size: f64,
    /// The time at which noise begins, above 0, at most 1.
    #[serde(default = "crate::config::one")]
    pub until: f64,
    /// T of the target exp(-E/T) from time 1 on; 0 is for descent without noise.
    pub heat: f64,
}

fn hundredth() -> f64 {
    0.01
}

impl KernelSpec for Transport {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        let holds = self.until > 0.0 && self.until <= 1.0;
        c.ensure(holds, "until", self.until, "a number above 0, at most 1")?;
        c.non_negative("heat", self.heat)
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Carried {
            config: self.clone(),
            n_steps,
        })
    }

    fn example() -> Self {
        Self {
            step_size: 0.1,
            until: 0.8,
            heat: 1.0,
        }
    }
}

/// The kernel of a [`Transport`] over so many steps.
#[derive(Debug)]
struct Carried {
    config: Transport,
    n_steps: usize,
}

impl Carried {
    /// T at step `k` (from 0).
    fn heat(&self, k: usize) -> f64 {
        let Transport { step_size, until, heat } = self.config;
        let t = k as f64 * step_size;
        match t < 1.0 {
            true => heat * ((t - until) / (1.0 - until)).max(0.0),
            false => heat,
        }
    }
}

impl Kernel for Carried {
    fn facts(&self) -> Facts {
        Facts {
            random: self.heat(self.n_steps.saturating_sub(1)) > 0.0,
            ..Facts::of(self.config.heat, Needs::Gradients)
        }
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let found = look(energy, &s.x, rng);
        let (step_size, heat) = (self.config.step_size, self.heat(s.step));
        let mut x = &s.x - &found.grad * step_size;
        if heat > 0.0 {
            x += rng.normal(&s.x.size(), s.x.device()) * (2.0 * step_size * heat).sqrt();
        }
        s.x = x;
        s.step += 1;
        let info = StepInfo {
            grad_norm: Some(norms(&found.grad)),
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        let Transport { step_size, until, heat } = self.config;
        format!("transport, step_size {step_size}, noise from time {until} on up to temperature {heat} at time 1")
    }

    fn has_temperatures(&self) -> bool {
        true
    }

    fn without_noise(&self) -> Option<Box<dyn Kernel>> {
        let config = Transport {
            heat: 0.0,
            ..self.config.clone()
        };
        Some(config.build(self.n_steps))
    }
}
