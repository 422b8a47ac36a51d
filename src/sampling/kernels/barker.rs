//! The Barker proposal.

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

/// Each number moves by d = step_size z, with the sign that the gradient favours: +d with
/// probability 1 / (1 + exp(d g / T)), g = dE/dx of that number, else -d. The move is accepted or
/// rejected as a whole (Livingstone & Zanella 2022).
///
/// It leaves exp(-E/T) exactly as it is. A step costs one gradient. Where gradients are large or
/// scales unequal it goes on accepting at steps at which MALA stands still. An acceptance near 0.4
/// is best in high dimension (Vogrinc, Livingstone & Zanella 2023).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Barker {
    /// The standard deviation of a move in each number of a state.
    pub step_size: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

impl KernelSpec for Barker {
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

impl Kernel for Barker {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Gradients)
    }

    fn start(&self, energy: &dyn Energy, x: &tch::Tensor, rng: &mut Stream) -> ChainState {
        started(energy, x, rng)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let t = self.temperature;
        let (size, device) = (s.x.size(), s.x.device());
        let move_up = Dial::length(self.step_size, &s).times(&rng.normal(&size, device));
        let up = (&move_up * &at_x.grad / -t).sigmoid();
        let taken = rng.uniform(&size, 0.0, 1.0, device).less_tensor(&up);
        let d = move_up.where_self(&taken, &move_up.neg());
        let y = &s.x + &d;
        let at_y = look(energy, &y, rng);
        // log q(x|y) - log q(y|x): each number's chance of this sign there and back.
        let log_q = (&d * &at_x.grad / t).softplus() - (&d * &at_y.grad / -t).softplus();
        let tested = test(&((&at_x.energy - &at_y.energy) / t + sum_each(&log_q)), rng);
        moved(s, &at_x, (&y, &at_y), tested)
    }

    fn words(&self) -> String {
        format!("the Barker proposal, step_size {}", self.step_size)
    }

    fn step_size(&self) -> Option<f64> {
        Some(self.step_size)
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}
