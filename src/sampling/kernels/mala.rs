//! The Metropolis-adjusted Langevin algorithm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::dial::Dial;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, look, moved, started, test};
use crate::space::sum_each;

/// A Langevin step y = x - step_size * grad E(x) + sqrt(2 step_size T) z as a proposal, accepted
/// with probability min(1, exp((E(x) - E(y)) / T) q(x|y) / q(y|x)) (Roberts & Tweedie 1996).
///
/// It leaves exp(-E/T) exactly as it is. A step costs one gradient. An acceptance near 0.574 is
/// best in high dimension (Roberts & Rosenthal 1998).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mala {
    /// What multiplies the gradient of the energy.
    pub step_size: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

impl KernelSpec for Mala {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.positive("temperature", self.temperature)
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.3,
            temperature: 1.0,
        }
    }
}

impl Kernel for Mala {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Gradients)
    }

    fn start(&self, energy: &dyn Energy, x: &tch::Tensor, rng: &mut Stream) -> ChainState {
        started(energy, x, rng)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let t = self.temperature;
        let step = Dial::time(self.step_size, &s);
        let scale = step.scaled(2.0 * t).root();
        let z = rng.normal(&s.x.size(), s.x.device());
        let y = &s.x - step.times(&at_x.grad) + scale.times(&z);
        let at_y = look(energy, &y, rng);
        // The noise that would lead back from y to x.
        let back = scale.divide(&(&s.x - &y + step.times(&at_y.grad)));
        let log_q = (sum_each(&z.square()) - sum_each(&back.square())) * 0.5;
        let tested = test(&((&at_x.energy - &at_y.energy) / t + log_q), rng);
        moved(s, &at_x, (&y, &at_y), tested)
    }

    fn words(&self) -> String {
        format!(
            "the Metropolis-adjusted Langevin algorithm, step_size {}",
            self.step_size
        )
    }

    fn step_size(&self) -> Option<f64> {
        Some(self.step_size)
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}
