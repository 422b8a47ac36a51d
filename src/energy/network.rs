//! Networks as energies: a frozen one for chains, a live one for training.

use tch::{Kind, Tensor};

use super::{Energy, GaussianReference};
use crate::config::{ModelConfig, Output};
use crate::nn::{Frozen, Mode, Network};

/// How a network's number becomes an energy.
#[derive(Debug, Clone, Copy)]
struct Head {
    output: Output,
    reference: Option<GaussianReference>,
    temperature: f64,
}

impl Head {
    fn new(model: &ModelConfig, temperature: f64) -> Self {
        Self {
            output: model.output,
            reference: model.reference_std.map(|std| GaussianReference { std }),
            temperature,
        }
    }

    /// The sign, and the reference: a term of E/T, hence T times it here.
    fn energy(&self, raw: Tensor, x: &Tensor) -> Tensor {
        let energy = match self.output {
            Output::Energy => raw,
            Output::NegativeEnergy => raw.neg(),
        };
        match &self.reference {
            Some(reference) => energy + reference.energy(x) * self.temperature,
            None => energy,
        }
    }
}

/// The energy of a frozen copy of a network, in evaluation mode: what chains run on.
#[derive(Debug)]
pub struct FrozenEnergy {
    network: Frozen,
    head: Head,
}

impl FrozenEnergy {
    /// Copies a network, in f32 or bf16; `temperature` is the run's T, which weighs a Gaussian reference.
    pub fn new(network: &Network, kind: Kind, temperature: f64) -> Self {
        Self {
            head: Head::new(network.config(), temperature),
            network: network.frozen(kind),
        }
    }

    /// Takes over the network's present weights, into the memory that is there.
    ///
    /// # Panics
    /// If `network` is of another architecture than the one this was made from.
    pub fn refresh(&mut self, network: &Network) {
        self.network.refresh(network);
    }
}

impl Energy for FrozenEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.head.energy(self.network.forward(x), x)
    }
}

/// The energy of a live network, differentiable in its parameters.
#[derive(Debug)]
pub struct LiveEnergy<'a> {
    network: &'a Network,
    mode: Mode,
    head: Head,
}

impl<'a> LiveEnergy<'a> {
    /// The energy of `network` in `mode`; `temperature` is the run's T, which weighs a Gaussian reference.
    pub fn new(network: &'a Network, mode: Mode, temperature: f64) -> Self {
        Self {
            network,
            mode,
            head: Head::new(network.config(), temperature),
        }
    }
}

impl Energy for LiveEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.head.energy(self.network.forward(x, self.mode), x)
    }
}
