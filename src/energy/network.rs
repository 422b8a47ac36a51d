//! Networks as energies: a frozen one for chains, a live one for training.

use tch::{Kind, Tensor};

use super::{Energy, GaussianReference, Stages, joint, marginal};
use crate::config::{ModelConfig, Output};
use crate::nn::{Frozen, Mode, Network};

/// How a network's output becomes an energy.
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

    /// E(x) from the raw output.
    fn energy(&self, raw: Tensor, x: &Tensor) -> Tensor {
        self.with_reference(self.of_network(raw), x)
    }

    /// What the network itself adds to E(x).
    fn of_network(&self, raw: Tensor) -> Tensor {
        match self.output {
            Output::Energy => raw,
            Output::NegativeEnergy => raw.neg(),
            Output::Logits => marginal(&raw),
        }
    }

    /// -T' logsumexp_y f(x)[y]/T' of logits, at another temperature T' than the run's; E(x) of any other output.
    fn energy_at(&self, raw: Tensor, temperature: f64, x: &Tensor) -> Tensor {
        match self.output {
            Output::Logits => self.with_reference(marginal(&(raw / temperature)) * temperature, x),
            Output::Energy | Output::NegativeEnergy => self.energy(raw, x),
        }
    }

    /// The reference is a term of E/T, hence T times it here.
    fn with_reference(&self, energy: Tensor, x: &Tensor) -> Tensor {
        match &self.reference {
            Some(reference) => energy + reference.energy(x) * self.temperature,
            None => energy,
        }
    }
}

/// The energy of a frozen copy of a network: what chains run on, and what scores are made of.
#[derive(Debug)]
pub struct FrozenEnergy {
    network: Frozen,
    head: Head,
}

impl FrozenEnergy {
    /// Copies a network, in f32 or bf16; `temperature` is the run's T, which weighs a Gaussian reference.
    ///
    /// It computes in evaluation mode unless [`in_mode`](Self::in_mode) says otherwise.
    pub fn new(network: &Network, kind: Kind, temperature: f64) -> Self {
        Self {
            head: Head::new(network.config(), temperature),
            network: network.frozen(kind),
        }
    }

    /// The same copy, computing in another mode.
    ///
    /// # Panics
    /// For [`Mode::Train`]: a frozen copy records nothing.
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.network = self.network.in_mode(mode);
        self
    }

    /// Takes over the network's present weights, into the memory that is there.
    ///
    /// # Panics
    /// If `network` is of another architecture than the one this was made from.
    pub fn refresh(&mut self, network: &Network) {
        self.network.refresh(network);
    }

    /// The network itself: its raw output, its features.
    pub fn network(&self) -> &Frozen {
        &self.network
    }

    /// E(x) from the raw output at `x`, for those who need both from one pass.
    pub fn energy_of(&self, raw: Tensor, x: &Tensor) -> Tensor {
        self.head.energy(raw, x)
    }

    /// The energy at a temperature T that the logits are divided by, -T logsumexp_y f(x)\[y\]/T (Liu et al. 2020);
    /// E(x), which is that at T = 1, where the network gives no logits.
    pub fn energy_at(&self, raw: Tensor, temperature: f64, x: &Tensor) -> Tensor {
        self.head.energy_at(raw, temperature, x)
    }

    /// An energy of this network with the reference that goes with it.
    pub(super) fn with_reference(&self, energy: Tensor, x: &Tensor) -> Tensor {
        self.head.with_reference(energy, x)
    }

    /// E(x,y) from logits `[B,K]` at `x` and classes `[B]` (i64), `[B]`.
    pub fn joint_of(&self, logits: &Tensor, classes: &Tensor, x: &Tensor) -> Tensor {
        self.head.with_reference(joint(logits, classes), x)
    }
}

impl Energy for FrozenEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.head.energy(self.network.forward(x), x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.head.reference.is_none().then_some(self)
    }

    fn draws(&self) -> bool {
        self.network.draws()
    }

    fn reads(&self) -> Option<Vec<Tensor>> {
        Some(self.network.tensors())
    }
}

impl Stages for FrozenEnergy {
    fn first(&self, x: &Tensor) -> Tensor {
        self.network.first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        self.head.of_network(self.network.rest(h))
    }
}

/// The energy of a live network, differentiable in its parameters.
#[derive(Debug)]
pub struct LiveEnergy<'a> {
    network: &'a Network,
    mode: Mode,
    kind: Kind,
    head: Head,
}

impl<'a> LiveEnergy<'a> {
    /// The energy of `network` in `mode`; `temperature` is the run's T, which weighs a Gaussian reference.
    pub fn new(network: &'a Network, mode: Mode, temperature: f64) -> Self {
        Self {
            network,
            mode,
            kind: Kind::Float,
            head: Head::new(network.config(), temperature),
        }
    }

    /// The same with layers that compute in `kind`, f32 or bf16.
    pub fn in_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The network's raw output: `[B]`, or logits `[B,K]`.
    pub fn raw(&self, x: &Tensor) -> Tensor {
        self.network.forward_as(x, self.mode, self.kind)
    }

    /// E(x) from the raw output at `x`, `[B]`.
    pub fn energy_of(&self, raw: Tensor, x: &Tensor) -> Tensor {
        self.head.energy(raw, x)
    }

    /// E(x,y) from logits `[B,K]` at `x` and classes `[B]`, `[B]`.
    pub fn joint_of(&self, logits: &Tensor, classes: &Tensor, x: &Tensor) -> Tensor {
        self.head.with_reference(joint(logits, classes), x)
    }
}

impl Energy for LiveEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.head.energy(self.raw(x), x)
    }

    fn draws(&self) -> bool {
        self.network.draws(self.mode)
    }
}
