//! Hamiltonian Monte Carlo by the leapfrog integrator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::{Energy, EnergyGrad};
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::dial::Dial;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, look, moved, started, test};
use crate::space::{Space, Values, sum_each};

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
    #[serde(default = "one")]
    pub temperature: f64,
    /// The mass of each number of a state: one for all, or as many as a state has numbers, best near
    /// 1 / variance. Null is 1.
    #[serde(default)]
    pub mass: Option<Vec<f64>>,
    /// Each chain's step size is multiplied by a number uniform in [1 - jitter, 1 + jitter], drawn
    /// anew at each step, so that no orbit closes on itself.
    #[serde(default)]
    pub jitter: f64,
}

fn one() -> f64 {
    1.0
}

impl KernelSpec for Hmc {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.at_least_one("leapfrog_steps", self.leapfrog_steps as u64)?;
        c.positive("temperature", self.temperature)?;
        let masses = self.mass.iter().flatten();
        masses.into_iter().try_for_each(|mass| c.positive("mass", *mass))?;
        c.ensure(
            self.mass.as_ref().is_none_or(|mass| !mass.is_empty()),
            "mass",
            "an empty list",
            "one number, or one for each number of a state",
        )?;
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

/// The mass of the momenta of states.
enum Mass {
    One(f64),
    /// In a shape that multiplies states.
    Each(Tensor),
}

impl Mass {
    fn divide(&self, p: &Tensor) -> Tensor {
        match self {
            Self::One(mass) => p / *mass,
            Self::Each(mass) => p / mass,
        }
    }

    /// Momenta of this mass from standard normal numbers.
    fn momenta(&self, z: Tensor) -> Tensor {
        match self {
            Self::One(mass) => z * mass.sqrt(),
            Self::Each(mass) => z * mass.sqrt(),
        }
    }

    /// |p|^2 / (2 mass), `[B]`.
    fn kinetic(&self, p: &Tensor) -> Tensor {
        sum_each(&(p * self.divide(p))) * 0.5
    }
}

impl Hmc {
    fn mass(&self, x: &Tensor) -> Mass {
        match self.mass.as_deref() {
            None => Mass::One(1.0),
            Some([mass]) => Mass::One(*mass),
            Some(each) => {
                let mass = Tensor::from_slice(each).to_kind(Kind::Float).to_device(x.device());
                Mass::Each(mass.view(&x.size()[1..]).unsqueeze(0))
            }
        }
    }

    /// The size of this step for each chain.
    fn step_of(&self, s: &ChainState, rng: &mut Stream) -> Dial {
        let step = Dial::step_size(self.step_size, s);
        if self.jitter == 0.0 {
            return step;
        }
        let (low, high) = (1.0 - self.jitter, 1.0 + self.jitter);
        let factors = rng.uniform(&s.x.size()[..1], low, high, s.x.device());
        step.times_each(&factors, &s.x)
    }

    /// Where the leapfrog leads from `x` with momenta `p` and gradient `grad`: the state, its
    /// momenta, and what the energy is there.
    fn leapfrog(
        &self,
        energy: &dyn Energy,
        (x, mut p, grad): (&Tensor, Tensor, &Tensor),
        (step, mass): (&Dial, &Mass),
        rng: &mut Stream,
    ) -> (Tensor, Tensor, EnergyGrad) {
        let kick = step.scaled(1.0 / self.temperature);
        p -= kick.scaled(0.5).times(grad);
        let mut y = x + step.times(&mass.divide(&p));
        let mut found = look(energy, &y, rng);
        for _ in 1..self.leapfrog_steps {
            p -= kick.times(&found.grad);
            y += step.times(&mass.divide(&p));
            found = look(energy, &y, rng);
        }
        p -= kick.scaled(0.5).times(&found.grad);
        (y, p, found)
    }
}

impl Kernel for Hmc {
    fn facts(&self) -> Facts {
        Facts {
            temperature: self.temperature,
            exact: true,
            needs: Needs::Gradients,
            random: true,
            interval: None,
            ends_inside: false,
        }
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        let (masses, numbers) = (
            self.mass.as_ref().map_or(1, Vec::len),
            space.shape.iter().product::<i64>(),
        );
        match space.values {
            Values::Binary => Err("moves real numbers, and these states are binary".into()),
            Values::Real if masses == 1 || masses as i64 == numbers => Ok(()),
            Values::Real => Err(format!("has {masses} masses, and a state has {numbers} numbers")),
        }
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        started(energy, x, rng)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let (step, mass) = (self.step_of(&s, rng), self.mass(&s.x));
        let p = mass.momenta(rng.normal(&s.x.size(), s.x.device()));
        let before = mass.kinetic(&p);
        let (y, p, at_y) = self.leapfrog(energy, (&s.x, p, &at_x.grad), (&step, &mass), rng);
        let log_ratio = (&at_x.energy - &at_y.energy) / self.temperature + before - mass.kinetic(&p);
        let tested = test(&log_ratio, rng);
        moved(s, &at_x, (&y, &at_y), tested)
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

    fn identity(&self) -> Option<String> {
        // Masses of each number come from the host at every step.
        let from_host = self.mass.as_ref().is_some_and(|mass| mass.len() > 1);
        (!from_host).then(|| format!("{self:?}"))
    }
}
