//! Generalised Hamiltonian Monte Carlo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::hamiltonian::{Masses, Phase, check, fit, from_host, stride};
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, choose, moved, started, test};
use crate::space::Space;

/// Hamiltonian Monte Carlo whose momenta live on: p becomes persistence p + sqrt(1 - persistence^2)
/// z before each step, and turns round where a proposal is rejected (Horowitz 1991; Neal 2011).
///
/// It leaves exp(-E/T) exactly as it is. A step costs `leapfrog_steps` gradients. A rejection throws
/// a chain back the way it came, so that a high acceptance is best, 0.9 and more. Chains start with
/// fresh momenta, in training at every step of it.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneralisedHmc {
    /// The size of a leapfrog step.
    pub step_size: f64,
    /// Leapfrog steps between two tests.
    #[serde(default = "one_step")]
    pub leapfrog_steps: usize,
    /// The share of a momentum that is kept from one step to the next; 0 is `hmc`.
    pub persistence: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
    /// The mass of each number of a state: one for all, or as many as a state has numbers, best near
    /// 1 / variance. Null is 1, or what a warm-up
    /// with `mass` finds.
    #[serde(default)]
    pub mass: Masses,
}

fn one_step() -> usize {
    1
}

impl KernelSpec for GeneralisedHmc {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("leapfrog_steps", self.leapfrog_steps as u64)?;
        check(c, self.step_size, self.temperature, &self.mass)?;
        c.ensure(
            (0.0..1.0).contains(&self.persistence),
            "persistence",
            self.persistence,
            "a number from 0 to below 1",
        )
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.5,
            leapfrog_steps: 1,
            persistence: 0.8,
            temperature: 1.0,
            mass: None,
        }
    }
}

impl Kernel for GeneralisedHmc {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Gradients)
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        fit(&self.mass, space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        let mut state = started(energy, x, rng);
        // In units of the root of the mass, in which every momentum is N(0, 1).
        state.momentum = Some(rng.normal(&state.x.size(), state.x.device()));
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let old = s.momentum.take().expect("chains start with momenta");
        let mut from = Phase::drawn(&s.x, at_x, rng);
        from.momentum = old * self.persistence + from.momentum * (1.0 - self.persistence.powi(2)).sqrt();
        let stride = stride(self.step_size, &self.mass, &s);
        let to = from.leapfrog(energy, &stride, (self.temperature, self.leapfrog_steps), rng);
        let (taken, probability) = test(&to.fall(&from, self.temperature), rng);
        s.momentum = Some(choose(&taken, &to.momentum, &from.momentum.neg()));
        moved(s, &from.at_x, (&to.x, &to.at_x), (taken, probability))
    }

    fn words(&self) -> String {
        format!(
            "generalised Hamiltonian Monte Carlo, {} leapfrog steps of step_size {}, persistence {}",
            self.leapfrog_steps, self.step_size, self.persistence
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
