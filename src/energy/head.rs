//! How a model's output becomes an energy.

use tch::{Kind, Tensor};

use super::logits::{joint, marginal};
use super::{Energy, EnergyGrad, GaussianReference};
use crate::nn::{NetworkConfig, Output};

/// What makes energies of raw outputs: `[B]`, or logits `[B,K]`.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    output: Output,
    reference: Option<GaussianReference>,
    temperature: f64,
}

impl Head {
    /// Of outputs that are energies, or logits; `temperature` is the T of the run's exp(-E/T).
    pub fn new(output: Output, temperature: f64) -> Self {
        Self {
            output,
            reference: None,
            temperature,
        }
    }

    /// That of a network; the Gaussian reference that its file may name weighs T in the energy.
    pub fn of_network(network: &NetworkConfig, temperature: f64) -> Self {
        Self {
            reference: network.reference_std.map(|std| GaussianReference { std }),
            ..Self::new(network.output, temperature)
        }
    }

    /// E(x), `[B]`, from the raw output at `x`.
    pub fn energy(&self, raw: Tensor, x: &Tensor) -> Tensor {
        self.with_reference(self.bare(raw), x)
    }

    /// E(x,y), `[B]`, from logits `[B,K]` at `x` and classes `[B]` (i64).
    pub fn joint(&self, logits: &Tensor, classes: &Tensor, x: &Tensor) -> Tensor {
        self.with_reference(joint(logits, classes), x)
    }

    /// -T' logsumexp_y f(x)\[y\]/T' of logits (Liu et al. 2020), at another temperature T' than the
    /// run's; E(x), which is that at T' = 1, of any other output.
    pub fn energy_at(&self, raw: Tensor, temperature: f64, x: &Tensor) -> Tensor {
        match self.output {
            Output::Logits => self.with_reference(marginal(&(raw / temperature)) * temperature, x),
            Output::Energy | Output::NegativeEnergy => self.energy(raw, x),
        }
    }

    /// E(x) without the reference.
    pub(super) fn bare(&self, raw: Tensor) -> Tensor {
        match self.output {
            Output::Energy => raw,
            Output::NegativeEnergy => raw.neg(),
            Output::Logits => marginal(&raw),
        }
    }

    /// The same, and its gradient in the raw output.
    pub(super) fn bare_with_gradient(&self, raw: &Tensor) -> [Tensor; 2] {
        let slope = match self.output {
            Output::Energy => raw.ones_like(),
            Output::NegativeEnergy => raw.full_like(-1.0),
            Output::Logits => raw.softmax(1, Kind::Float).neg(),
        };
        [self.bare(raw.shallow_clone()), slope]
    }

    /// Whether outputs are logits.
    pub fn of_logits(&self) -> bool {
        self.output == Output::Logits
    }

    /// Whether the energy is a function of the output alone.
    pub(super) fn is_bare(&self) -> bool {
        self.reference.is_none()
    }

    /// The reference is a term of E/T, hence T times it here.
    pub(super) fn with_reference(&self, energy: Tensor, x: &Tensor) -> Tensor {
        match &self.reference {
            Some(reference) => energy + reference.energy(x) * self.temperature,
            None => energy,
        }
    }

    /// The same for energies and gradients.
    pub(super) fn with_reference_and_gradient(&self, found: EnergyGrad, x: &Tensor) -> EnergyGrad {
        match &self.reference {
            Some(reference) => EnergyGrad {
                grad: found.grad + x * (self.temperature / reference.std.powi(2)),
                energy: self.with_reference(found.energy, x),
            },
            None => found,
        }
    }
}
