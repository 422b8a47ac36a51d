//! Langevin dynamics down the levels of noise of an energy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::space::norms;

/// x <- x - a grad E(x, sigma) + sqrt(2 a) z with a = step_size sigma^2, on levels sigma that fall from
/// `high` to `low` by a constant factor, as many steps on each (Song & Ermon 2019).
///
/// Each level carries chains to where the next one can move them, so that chains from noise of
/// deviation `high` find all modes in about their shares. It is for energies that take a level, and
/// draws from none of them exactly.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnealedLangevin {
    /// The first level, in the units of states.
    pub high: f64,
    /// The last level.
    pub low: f64,
    /// How many levels there are, both counted.
    pub count: usize,
    /// What multiplies sigma^2 grad E, 0.2 in the paper; steps of 2 and more are unstable.
    pub step_size: f64,
    /// Whether the last step ends in x - low^2 grad E(x, low), the mean of what the noise of that level
    /// hides.
    #[serde(default = "yes")]
    pub denoise: bool,
}

fn yes() -> bool {
    true
}

impl KernelSpec for AnnealedLangevin {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("low", self.low)?;
        c.positive("high", self.high)?;
        c.ensure(
            self.low < self.high,
            "low",
            self.low,
            "a number below `high`, so that the levels fall",
        )?;
        c.ensure(self.count >= 2, "count", self.count, "2 or more")?;
        c.positive("step_size", self.step_size)?;
        c.ensure(self.step_size < 2.0, "step_size", self.step_size, "a number below 2")
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Annealed {
            config: self.clone(),
            n_steps: n_steps.max(1),
        })
    }

    fn example() -> Self {
        Self {
            high: 2.0,
            low: 0.2,
            count: 10,
            step_size: 0.2,
            denoise: true,
        }
    }
}

/// The kernel of an [`AnnealedLangevin`] over so many steps.
#[derive(Debug)]
struct Annealed {
    config: AnnealedLangevin,
    n_steps: usize,
}

impl Annealed {
    /// The level of step `k` (from 0); the last one from the last step on.
    fn level(&self, k: usize) -> f64 {
        let AnnealedLangevin { high, low, count, .. } = self.config;
        let nth = ((k + 1) * count).div_ceil(self.n_steps).min(count) - 1;
        high * (low / high).powf(nth as f64 / (count - 1) as f64)
    }
}

impl Kernel for Annealed {
    fn facts(&self) -> Facts {
        Facts {
            levels: Some([self.config.low, self.config.high]),
            ..Facts::of(1.0, Needs::Levels)
        }
    }

    /// # Panics
    /// For an energy without [`at_level`](Energy::at_level).
    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let level = self.level(s.step);
        let sigma = Tensor::full([0i64; 0], level, (Kind::Float, s.x.device()));
        let energy = energy
            .at_level(&sigma)
            .expect("annealed Langevin steps are for energies of levels");
        let square = level * level;
        let step = self.config.step_size * square;
        let found = look(&*energy, &s.x, rng);
        let z = rng.normal(&s.x.size(), s.x.device());
        s.x = &s.x - &found.grad * step + z * (2.0 * step).sqrt();
        s.step += 1;
        if self.config.denoise && s.step == self.n_steps {
            s.x = &s.x - look(&*energy, &s.x, rng).grad * square;
        }
        let info = StepInfo {
            grad_norm: Some(norms(&found.grad)),
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        let AnnealedLangevin {
            high,
            low,
            count,
            step_size,
            ..
        } = self.config;
        format!("annealed Langevin dynamics over {count} levels from {high} to {low}, step_size {step_size} sigma^2")
    }

    fn has_temperatures(&self) -> bool {
        true
    }
}
