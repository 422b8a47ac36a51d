//! The energy of states given noised versions of them, in units of the noise.

use tch::Tensor;

use crate::config::Checker;
use crate::energy::{Energy, EnergyGrad, energy_and_grad};
use crate::error::Result;
use crate::space::{each, sum_each};

/// Checks rising standard deviations of noise at the key `levels`, two or more.
pub(crate) fn check_levels(c: &Checker, levels: &[f64]) -> Result<()> {
    let rises = levels.windows(2).all(|pair| pair[0] < pair[1]);
    let positive = levels.iter().all(|level| *level > 0.0 && level.is_finite());
    c.ensure(
        rises && positive && levels.len() >= 2,
        "levels",
        format!("{levels:?}"),
        "two or more numbers above 0, each above the one before, so that chains fall from the last to the first",
    )
}

/// The standard deviation of the noise that leads from one level to a higher one.
pub(crate) fn spread(low: f64, high: f64) -> f64 {
    ((high - low) * (high + low)).sqrt()
}

/// E(y) + T |u|^2 / 2 as a function of u, where y = x + s u and x is y with noise of deviation s: minus
/// the log density of y given x, up to a factor T and a constant (Gao et al. 2021).
///
/// In units of that noise one step size serves all levels, and u = 0 is the noised state itself.
pub struct Recovered<'a> {
    /// E of the states y.
    pub energy: Box<dyn Energy + 'a>,
    /// The noised states x, `[B,..]`.
    pub noised: Tensor,
    /// s of each, `[B]`.
    pub spread: Tensor,
    /// T
    pub temperature: f64,
}

impl Recovered<'_> {
    /// The states y at u, `[B,..]`.
    pub fn states(&self, u: &Tensor) -> Tensor {
        &self.noised + u * each(&self.spread, u)
    }
}

impl Energy for Recovered<'_> {
    fn energy(&self, u: &Tensor) -> Tensor {
        self.energy.energy(&self.states(u)) + sum_each(&u.square()) * (0.5 * self.temperature)
    }

    fn direct(&self, u: &Tensor) -> Option<EnergyGrad> {
        let _guard = tch::no_grad_guard();
        let found = energy_and_grad(&*self.energy, &self.states(u));
        Some(EnergyGrad {
            energy: found.energy + sum_each(&u.square()) * (0.5 * self.temperature),
            grad: found.grad * each(&self.spread, u) + u * self.temperature,
        })
    }

    fn draws(&self) -> bool {
        self.energy.draws()
    }
}
