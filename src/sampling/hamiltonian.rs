//! What kernels with momenta share: masses, and the leapfrog integrator.

use tch::{Kind, Tensor};

use super::dial::Dial;
use super::kernel::ChainState;
use super::metropolis::{choose, look};
use crate::config::Checker;
use crate::energy::{Energy, EnergyGrad};
use crate::error::Result;
use crate::rng::Stream;
use crate::space::{Space, Values, sum_each};

/// The mass of each number of a state, as a file gives it: none is 1, one is for all.
pub(super) type Masses = Option<Vec<f64>>;

/// Checks the keys `step_size`, `temperature` and `mass`.
pub(super) fn check(c: &Checker, step_size: f64, temperature: f64, masses: &Masses) -> Result<()> {
    c.positive("step_size", step_size)?;
    c.positive("temperature", temperature)?;
    let mut each = masses.iter().flatten();
    each.try_for_each(|mass| c.positive("mass", *mass))?;
    c.ensure(
        masses.as_ref().is_none_or(|mass| !mass.is_empty()),
        "mass",
        "an empty list",
        "one number, or one for each number of a state",
    )
}

/// Whether states of this space can have these masses.
pub(super) fn fit(masses: &Masses, space: &Space) -> std::result::Result<(), String> {
    let (count, numbers) = (masses.as_ref().map_or(1, Vec::len), space.shape.iter().product::<i64>());
    match space.values {
        Values::Binary => Err("moves real numbers, and these states are binary".into()),
        Values::Real if count == 1 || count as i64 == numbers => Ok(()),
        Values::Real => Err(format!("has {count} masses, and a state has {numbers} numbers")),
    }
}

/// Whether a step takes numbers from the host, which no recording can: masses of each number.
pub(super) fn from_host(masses: &Masses) -> bool {
    masses.as_ref().is_some_and(|mass| mass.len() > 1)
}

/// How far a leapfrog step moves each number: the step size over the root of its mass, times the scale
/// that is found or due to the temperature.
pub(super) fn stride(step_size: f64, masses: &Masses, s: &ChainState) -> Dial {
    let step = Dial::length(step_size, s);
    match masses.as_deref() {
        None => step,
        Some([mass]) => step.scaled(mass.powf(-0.5)),
        Some(each) => {
            let mass = Tensor::from_slice(each).to_kind(Kind::Float).to_device(s.x.device());
            step.by(&mass.rsqrt().view(&s.x.size()[1..]).unsqueeze(0))
        }
    }
}

/// A point of phase space for each chain. A momentum is p / sqrt(mass), which is N(0, 1).
#[derive(Debug)]
pub(super) struct Phase {
    pub x: Tensor,
    pub momentum: Tensor,
    pub at_x: EnergyGrad,
}

impl Phase {
    /// Momenta that are drawn afresh, at states where energies are known.
    pub fn drawn(x: &Tensor, at_x: EnergyGrad, rng: &mut Stream) -> Self {
        Self {
            x: x.shallow_clone(),
            momentum: rng.normal(&x.size(), x.device()),
            at_x,
        }
    }

    /// Where `steps` of the leapfrog on E(x)/T + |momentum|^2/2 lead, with this stride.
    pub fn leapfrog(
        &self,
        energy: &dyn Energy,
        stride: &Dial,
        (temperature, steps): (f64, usize),
        rng: &mut Stream,
    ) -> Self {
        let kick = stride.scaled(1.0 / temperature);
        let half = kick.scaled(0.5);
        let mut momentum = &self.momentum - half.times(&self.at_x.grad);
        let mut x = &self.x + stride.times(&momentum);
        let mut at_x = look(energy, &x, rng);
        for _ in 1..steps {
            momentum -= kick.times(&at_x.grad);
            x += stride.times(&momentum);
            at_x = look(energy, &x, rng);
        }
        momentum -= half.times(&at_x.grad);
        Self { x, momentum, at_x }
    }

    /// By how much E(x)/T + |momentum|^2/2 is lower here than at `from`, `[B]`: the logarithm of the
    /// ratio of the two densities.
    pub fn fall(&self, from: &Self, temperature: f64) -> Tensor {
        let kinetic = |phase: &Self| sum_each(&phase.momentum.square()) * 0.5;
        (&from.at_x.energy - &self.at_x.energy) / temperature + kinetic(from) - kinetic(self)
    }

    /// Row by row, this where `taken`, else `other`.
    pub fn chosen(&self, taken: &Tensor, other: &Self) -> Self {
        Self {
            x: choose(taken, &self.x, &other.x),
            momentum: choose(taken, &self.momentum, &other.momentum),
            at_x: EnergyGrad {
                energy: choose(taken, &self.at_x.energy, &other.at_x.energy),
                grad: choose(taken, &self.at_x.grad, &other.at_x.grad),
            },
        }
    }

    /// The same memory under another handle.
    pub fn shared(&self) -> Self {
        Self {
            x: self.x.shallow_clone(),
            momentum: self.momentum.shallow_clone(),
            at_x: EnergyGrad {
                energy: self.at_x.energy.shallow_clone(),
                grad: self.at_x.grad.shallow_clone(),
            },
        }
    }
}
