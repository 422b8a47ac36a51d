//! Random-walk Metropolis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::dial::Dial;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{choose, level, test};

/// A proposal y = x + step_size * z, accepted with probability min(1, exp((E(x) - E(y)) / T))
/// (Metropolis et al. 1953).
///
/// It leaves exp(-E/T) exactly as it is and needs no gradient. An acceptance near 0.234 is best in
/// high dimension (Roberts, Gelman & Gilks 1997).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomWalk {
    /// The standard deviation of a proposal in each number of a state.
    pub step_size: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

impl KernelSpec for RandomWalk {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.positive("temperature", self.temperature)
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.8,
            temperature: 1.0,
        }
    }
}

impl Kernel for RandomWalk {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Energies)
    }

    fn start(&self, energy: &dyn Energy, x: &tch::Tensor, rng: &mut Stream) -> ChainState {
        let mut state = ChainState::new(x);
        state.energy = Some(level(energy, &state.x, rng));
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let energy_x = s.energy.take().unwrap_or_else(|| level(energy, &s.x, rng));
        let step = Dial::length(self.step_size, &s);
        let y = &s.x + step.times(&rng.normal(&s.x.size(), s.x.device()));
        let energy_y = level(energy, &y, rng);
        let (taken, probability) = test(&((&energy_x - &energy_y) / self.temperature), rng);
        s.x = choose(&taken, &y, &s.x);
        let energy = choose(&taken, &energy_y, &energy_x);
        s.step += 1;
        let info = StepInfo {
            accept_prob: Some(probability),
            energy: Some(energy.shallow_clone()),
            ..StepInfo::default()
        };
        s.energy = Some(energy);
        (s, info)
    }

    fn words(&self) -> String {
        format!("random-walk Metropolis, step_size {}", self.step_size)
    }

    fn step_size(&self) -> Option<f64> {
        Some(self.step_size)
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}
