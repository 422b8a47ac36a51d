//! Recovery of states from noised ones, level by level.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{KernelConfig, KernelSpec, LangevinConfig};
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::sampling::recovered::{Recovered, check_levels, spread};
use crate::sampling::rungs::check_inner;
use crate::space::Space;

/// Chains of states y at each level of noise, given the states x one level above where they start:
/// exp(-E(y, level) / T - |y - x|^2 / (2 s^2)), where s^2 is the variance between the levels (Gao et
/// al. 2021).
///
/// Each chain goes from the last of the `levels` to the first, as many steps on each, moved by `kernel`
/// in units u = (y - x) / s. It is for energies that take a level, trained by the term `recovery`; the
/// chains of that training are of `kernel` alone, `n_steps` long at one level each. A run starts its
/// samples at N(0, s^2) of the last level (`init`), and needs n_steps times the levels below it for them
/// (`report.sample_steps`).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// The kernel that moves chains, in units of the noise between two levels.
    pub kernel: Box<KernelConfig>,
    /// Rising standard deviations of noise, in the units of states; states are recovered at all but
    /// the last.
    pub levels: Vec<f64>,
    /// Whether the last step ends in x - s^2 grad E(x, s) of the first level s, the mean of what its
    /// noise hides.
    #[serde(default = "yes")]
    pub denoise: bool,
}

fn yes() -> bool {
    true
}

impl KernelSpec for Recovery {
    fn check(&self, c: &Checker) -> Result<()> {
        check_levels(c, &self.levels)?;
        check_inner(c, &self.kernel)?;
        match self.kernel.build(1).facts().interval {
            None => Ok(()),
            Some(_) => c.conflict(
                &format!("kernel.{}", self.kernel.word()),
                "clamps states to an interval, and moves them in units of the noise here",
                "remove its clamp",
            ),
        }
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        let stages = self.levels.len().saturating_sub(1).max(1);
        let each = n_steps.div_ceil(stages).max(1);
        Box::new(Descent {
            kernel: self.kernel.build(each),
            of_training: Box::new((*self.kernel).clone()),
            levels: self.levels.clone(),
            denoise: self.denoise,
            n_steps: n_steps.max(1),
        })
    }

    fn example() -> Self {
        Self {
            kernel: Box::new(KernelConfig::Langevin(LangevinConfig::plain(0.05))),
            levels: vec![0.3, 1.0, 2.0],
            denoise: true,
        }
    }
}

/// The kernel of a [`Recovery`] over so many steps.
#[derive(Debug)]
struct Descent {
    kernel: Box<dyn Kernel>,
    of_training: Box<KernelConfig>,
    levels: Vec<f64>,
    denoise: bool,
    n_steps: usize,
}

impl Descent {
    /// The stage of step `k` (from 0), counted down to 0; 0 from the last step on.
    fn stage(&self, k: usize) -> usize {
        let stages = self.levels.len() - 1;
        stages - ((k + 1) * stages).div_ceil(self.n_steps).min(stages)
    }

    /// The energy of a stage for states that come from `noised`.
    fn target<'a>(&self, energy: &'a dyn Energy, stage: usize, noised: &Tensor) -> Recovered<'a> {
        let scalar = |value: f64| Tensor::full([1i64], value, (Kind::Float, noised.device()));
        let level = energy.at_level(&scalar(self.levels[stage]));
        Recovered {
            energy: level.expect("recovery is for energies of levels"),
            noised: noised.shallow_clone(),
            spread: scalar(spread(self.levels[stage], self.levels[stage + 1])),
            temperature: self.kernel.facts().temperature,
        }
    }
}

impl Kernel for Descent {
    fn facts(&self) -> Facts {
        Facts {
            exact: false,
            needs: Needs::Levels,
            levels: Some([self.levels[0], self.levels[self.levels.len() - 2]]),
            // In units of the noise an interval says nothing of states.
            interval: None,
            ends_inside: false,
            ..self.kernel.facts()
        }
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        self.kernel.fits(space)
    }

    fn of_training(&self, n_steps: usize) -> Option<Box<dyn Kernel>> {
        Some(self.of_training.build(n_steps))
    }

    /// # Panics
    /// For an energy without [`at_level`](Energy::at_level).
    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let stage = self.stage(s.step);
        let (inside, noised) = match s.inside.take() {
            Some(inside) if s.step > 0 && self.stage(s.step - 1) == stage => *inside,
            _ => {
                let noised = s.x.copy();
                let target = self.target(energy, stage, &noised);
                (self.kernel.start(&target, &noised.zeros_like(), rng), noised)
            }
        };
        let target = self.target(energy, stage, &noised);
        let (inside, info) = self.kernel.step(&target, inside, rng);
        s.x = target.states(&inside.x);
        s.inside = Some(Box::new((inside, noised)));
        s.step += 1;
        if self.denoise && s.step == self.n_steps {
            s.x = &s.x - look(&*target.energy, &s.x, rng).grad * self.levels[0].powi(2);
        }
        let info = StepInfo { energy: None, ..info };
        (s, info)
    }

    fn words(&self) -> String {
        format!("recovery over the levels {:?} by {}", self.levels, self.kernel.words())
    }

    fn has_temperatures(&self) -> bool {
        true
    }
}
