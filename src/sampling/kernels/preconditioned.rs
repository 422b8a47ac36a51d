//! Langevin dynamics preconditioned by running squares of the gradient.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::space::norms;

/// x <- x - step_size G g + sqrt(2 step_size T G) z, where g = dE/dx, G = 1 / (damping + sqrt(V)), and
/// V <- decay V + (1 - decay) g^2 is each number's running square of the gradient (Li et al. 2016).
///
/// A step costs one gradient and never rejects. It goes as far in steep directions as in flat ones.
///
/// It is biased also as the step goes to 0: it leaves out the term of the derivative of G, so that it
/// draws from exp(-E/T) / G as far as V follows the state. Of N(0, 1) with `decay` 0 and `damping` 1
/// it draws a variance of 1.44. With `decay` near 1 the bias goes, once chains are longer than 1 / (1 -
/// decay), but the memory counts in steps: at a `decay` of 0.99 and a `damping` of 0.1 that variance is
/// 1.09 with a `step_size` of 0.1, and 1.64 with one of 0.002. A shorter step asks for a longer memory.
/// V starts at the square of a chain's first gradient.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preconditioned {
    /// The factor of G g.
    pub step_size: f64,
    /// The share of V that is kept at each step, from 0 to below 1.
    #[serde(default = "most")]
    pub decay: f64,
    /// Keeps G finite where gradients vanish, in units of the gradient.
    #[serde(default = "little")]
    pub damping: f64,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

fn most() -> f64 {
    0.99
}

fn little() -> f64 {
    0.1
}

impl KernelSpec for Preconditioned {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.positive("damping", self.damping)?;
        c.positive("temperature", self.temperature)?;
        c.ensure(
            (0.0..1.0).contains(&self.decay),
            "decay",
            self.decay,
            "a number from 0 to below 1",
        )
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.1,
            decay: 0.95,
            damping: little(),
            temperature: 1.0,
        }
    }
}

impl Kernel for Preconditioned {
    fn facts(&self) -> Facts {
        Facts::of(self.temperature, Needs::Gradients)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        let mut state = ChainState::new(x);
        state.square = Some(look(energy, &state.x, rng).grad.square());
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let found = look(energy, &s.x, rng);
        let square = s.square.take().expect("chains start with a square of the gradient");
        let square = square * self.decay + found.grad.square() * (1.0 - self.decay);
        let g = (square.sqrt() + self.damping).reciprocal();
        let noise = (&g * (2.0 * self.step_size * self.temperature)).sqrt();
        let z = rng.normal(&s.x.size(), s.x.device());
        s.x = &s.x - g * &found.grad * self.step_size + noise * z;
        s.square = Some(square);
        s.step += 1;
        let info = StepInfo {
            grad_norm: Some(norms(&found.grad)),
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "preconditioned Langevin dynamics, step_size {}, decay {}",
            self.step_size, self.decay
        )
    }

    fn identity(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}
