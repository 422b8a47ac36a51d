//! Energies made of others: at a temperature, in sums, against a Gaussian.

use tch::Tensor;

use super::{Energy, EnergyGrad, Identity, energy_and_grad};
use crate::space::sum_each;

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

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let found = self.energy.direct(x)?;
        Some(EnergyGrad {
            energy: found.energy / self.temperature,
            grad: found.grad / self.temperature,
        })
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(Tempered {
            energy: self.energy.at_level(sigma)?,
            temperature: self.temperature,
        }))
    }

    fn draws(&self) -> bool {
        self.energy.draws()
    }

    fn prepare(&self, k: usize, n: usize) {
        self.energy.prepare(k, n);
    }

    fn changes(&self) -> bool {
        self.energy.changes()
    }

    fn identity(&self) -> Option<Identity> {
        let Identity { words, reads } = self.energy.identity()?;
        Some(Identity {
            words: format!("({words}) / {}", self.temperature),
            reads,
        })
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

    /// Each term by its own way; a term without one by autograd.
    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let terms = self.0.iter().map(|e| energy_and_grad(e.as_ref(), x));
        terms.reduce(|a, b| EnergyGrad {
            energy: a.energy + b.energy,
            grad: a.grad + b.grad,
        })
    }

    fn draws(&self) -> bool {
        self.0.iter().any(|e| e.draws())
    }

    fn prepare(&self, k: usize, n: usize) {
        self.0.iter().for_each(|e| e.prepare(k, n));
    }

    fn changes(&self) -> bool {
        self.0.iter().any(|e| e.changes())
    }

    fn identity(&self) -> Option<Identity> {
        let terms: Vec<Identity> = self.0.iter().map(|e| e.identity()).collect::<Option<_>>()?;
        let words: Vec<&str> = terms.iter().map(|t| t.words.as_str()).collect();
        let words = words.join(" + ");
        let reads = terms.into_iter().flat_map(|t| t.reads).collect();
        Some(Identity { words, reads })
    }
}

/// |x|^2 / (2 std^2): minus the log density of N(0, std^2 I) up to a constant (the reference of Xie et al. 2016).
#[derive(Debug, Clone, Copy)]
pub struct GaussianReference {
    /// Standard deviation of each number of a state.
    pub std: f64,
}

impl Energy for GaussianReference {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&x.square()) / (2.0 * self.std * self.std)
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            words: format!("{self:?}"),
            reads: Vec::new(),
        })
    }
}
