//! Hamiltonian Monte Carlo by the leapfrog integrator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::dial::Dial;
use crate::sampling::hamiltonian::{Masses, Phase, check, fit, from_host, stride};
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, moved, started, test};
use crate::space::Space;

/// Fresh momenta p from N(0, mass), `leapfrog_steps` of the leapfrog on E(x)/T + |p|^2 / (2 mass),
/// and a Metropolis test of where they end (Duane et al. 1987; Neal 2011).
///
/// It leaves exp(-E/T) exactly as it is. A step costs `leapfrog_steps` gradients. An acceptance near
/// 0.65 is best in high dimension (Beskos et al. 2013).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hmc {
    /// The size of a leapfrog step.
    pub step_size: f64,
    /// Leapfrog steps between two tests.
    pub leapfrog_steps: usize,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
    /// The mass of each number of a state: one for all, or as many as a state has numbers, best near
    /// 1 / variance. Null is 1, or what a warm-up
    /// with `mass` finds.
    #[serde(default)]
    pub mass: Masses,
    /// Each chain's step size is multiplied by a number uniform in [1 - jitter, 1 + jitter], drawn
    /// anew at each step, so that no orbit closes on itself.
    #[serde(default)]
    pub jitter: f64,
}

impl KernelSpec for Hmc {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("leapfrog_steps", self.leapfrog_steps as u64)?;
        check(c, self.step_size, self.temperature, &self.mass)?;
        c.ensure(
            (0.0..1.0).contains(&self.jitter),
            "jitter",
            self.jitter,
            "a number from 0 to below 1",
        )
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.4,
            leapfrog_steps: 5,
            temperature: 1.0,
            mass: None,
            jitter: 0.2,
        }
    }
}

impl Hmc {
    /// How far this step moves each number of each chain.
    fn stride(&self, s: &ChainState, rng: &mut Stream) -> Dial {
        let stride = stride(self.step_size, &self.mass, s);
        if self.jitter == 0.0 {
            return stride;
        }
        let (low, high) = (1.0 - self.jitter, 1.0 + self.jitter);
        let factors = rng.uniform(&s.x.size()[..1], low, high, s.x.device());
        stride.times_each(&factors, &s.x)
    }
}

impl Kernel for Hmc {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Gradients)
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        fit(&self.mass, space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        started(energy, x, rng)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let stride = self.stride(&s, rng);
        let from = Phase::drawn(&s.x, at_x, rng);
        let to = from.leapfrog(energy, &stride, (self.temperature, self.leapfrog_steps), rng);
        let tested = test(&to.fall(&from, self.temperature), rng);
        moved(s, &from.at_x, (&to.x, &to.at_x), tested)
    }

    fn words(&self) -> String {
        format!(
            "Hamiltonian Monte Carlo, {} leapfrog steps of step_size {}",
            self.leapfrog_steps, self.step_size
        )
    }

    fn step_size(&self) -> Option<f64> {
        Some(self.step_size)
    }

    fn has_masses(&self) -> bool {
        self.mass.is_some()
    }

    fn identity(&self) -> Option<String> {
        (!from_host(&self.mass)).then(|| format!("{self:?}"))
    }
}
