//! Energies made of others: at a temperature, in sums, against a Gaussian.

use tch::{Kind, Tensor};

use super::Energy;

/// E(x) / T: what a term is added to, and the minus log density up to a constant.
#[derive(Debug, Clone)]
pub struct Tempered<E> {
    /// E
    pub energy: E,
    /// T, above 0.
    pub temperature: f64,
}

impl<E: Energy> Energy for Tempered<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.energy.energy(x) / self.temperature
    }

    fn draws(&self) -> bool {
        self.energy.draws()
    }
}

/// The sum of energies: the product of their densities.
pub struct Sum<'a>(pub Vec<Box<dyn Energy + 'a>>);

impl Energy for Sum<'_> {
    /// # Panics
    /// If there is no term.
    fn energy(&self, x: &Tensor) -> Tensor {
        let terms = self.0.iter().map(|e| e.energy(x));
        terms.reduce(|a, b| a + b).expect("a sum of energies has a term")
    }

    fn draws(&self) -> bool {
        self.0.iter().any(|e| e.draws())
    }
}

/// |x|^2 / (2 std^2): minus the log density of N(0, std^2 I) up to a constant (the reference of Xie et al. 2016).
#[derive(Debug, Clone, Copy)]
pub struct GaussianReference {
    /// Standard deviation of a pixel.
    pub std: f64,
}

impl Energy for GaussianReference {
    fn energy(&self, x: &Tensor) -> Tensor {
        let squares = x.square().flatten(1, -1).sum_dim_intlist(1, false, Kind::Float);
        squares / (2.0 * self.std * self.std)
    }
}
