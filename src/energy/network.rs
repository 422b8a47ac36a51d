//! Networks as energies: a frozen one for chains, a live one for training.

use tch::{Kind, Tensor};

use super::{Energy, EnergyGrad, GaussianReference, Identity, Stages, joint, marginal};
use crate::nn::{Frozen, Layout, Mode, Network};
use crate::nn::{ModelConfig, Output};

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

    /// What the network itself adds to E(x), and its gradient in the raw output.
    fn of_network_with_gradient(&self, raw: &Tensor) -> [Tensor; 2] {
        let slope = match self.output {
            Output::Energy => raw.ones_like(),
            Output::NegativeEnergy => raw.full_like(-1.0),
            Output::Logits => raw.softmax(1, Kind::Float).neg(),
        };
        [self.of_network(raw.shallow_clone()), slope]
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

    /// The same for energies and gradients.
    fn with_reference_and_gradient(&self, found: EnergyGrad, x: &Tensor) -> EnergyGrad {
        match &self.reference {
            Some(reference) => EnergyGrad {
                grad: found.grad + x * (self.temperature / reference.std.powi(2)),
                energy: self.with_reference(found.energy, x),
            },
            None => found,
        }
    }
}

/// The energy of a frozen copy of a network: what chains run on, and what scores are made of.
#[derive(Debug)]
pub struct FrozenEnergy {
    network: Frozen,
    head: Head,
    /// The most images that a gradient is taken of at once.
    part: Option<i64>,
}

impl FrozenEnergy {
    /// Copies a network, in f32 or bf16; `temperature` is the run's T, which weighs a Gaussian reference.
    ///
    /// It computes in evaluation mode unless [`in_mode`](Self::in_mode) says otherwise.
    pub fn new(network: &Network, kind: Kind, temperature: f64) -> Self {
        Self::new_in(network, kind, Layout::default(), temperature)
    }

    /// The same in a layout of its own, which changes its speed alone.
    pub fn new_in(network: &Network, kind: Kind, layout: Layout, temperature: f64) -> Self {
        Self {
            head: Head::new(network.config(), temperature),
            network: network.frozen_in(kind, layout),
            part: None,
        }
    }

    /// The same copy, taking gradients of at most so many images at once: the memory of a chain is then that of a batch
    /// of this size, and its states, beside rounding, those of the whole batch. None splits nothing.
    ///
    /// # Panics
    /// For a part without images.
    pub fn in_parts(mut self, images: Option<usize>) -> Self {
        assert!(images != Some(0), "a part has an image");
        self.part = images.map(|n| n as i64);
        self
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

    /// Energies and gradients at `x`, part by part, without autograd; `head` gives, from the raw output of a part that
    /// begins at some image, the energies that the network adds and their gradient in the raw output.
    pub(super) fn gradient(&self, x: &Tensor, head: impl Fn(&Tensor, i64) -> [Tensor; 2]) -> EnergyGrad {
        let images = x.size()[0];
        let part = self.part.filter(|part| *part < images).unwrap_or(images);
        let found = (0..images.max(1)).step_by(part.max(1) as usize).map(|first| {
            let x = x.narrow(0, first, part.min(images - first));
            let of_part = |raw: &Tensor| {
                let [energy, slope] = head(raw, first);
                (energy, slope)
            };
            self.network.with_gradient(&x, of_part)
        });
        let (energies, grads): (Vec<Tensor>, Vec<Tensor>) = found.unzip();
        let _guard = tch::no_grad_guard();
        let found = EnergyGrad {
            energy: whole(energies),
            grad: whole(grads),
        };
        self.head.with_reference_and_gradient(found, x)
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

/// The parts of a batch put together.
fn whole(mut parts: Vec<Tensor>) -> Tensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(&parts, 0),
    }
}

impl Energy for FrozenEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.head.energy(self.network.forward(x), x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        Some(self.gradient(x, |raw, _| self.head.of_network_with_gradient(raw)))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.head.reference.is_none().then_some(self)
    }

    fn draws(&self) -> bool {
        self.network.draws()
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            words: format!("network {:?}", self.head),
            reads: self.network.tensors(),
        })
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
    layout: Layout,
    head: Head,
}

impl<'a> LiveEnergy<'a> {
    /// The energy of `network` in `mode`; `temperature` is the run's T, which weighs a Gaussian reference.
    pub fn new(network: &'a Network, mode: Mode, temperature: f64) -> Self {
        Self {
            network,
            mode,
            kind: Kind::Float,
            layout: Layout::default(),
            head: Head::new(network.config(), temperature),
        }
    }

    /// The same with layers that compute in `kind`, f32 or bf16.
    pub fn in_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same in a layout, which changes its speed alone.
    pub fn in_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Whether batches may be joined into one pass: each image is computed by itself, and nothing is recorded.
    pub fn joins(&self) -> bool {
        self.network.joins(self.mode)
    }

    /// The network's raw output: `[B]`, or logits `[B,K]`.
    pub fn raw(&self, x: &Tensor) -> Tensor {
        self.network.forward_in(x, self.mode, self.kind, self.layout)
    }

    /// The raw outputs of several batches, from one pass over all of them.
    pub fn raws(&self, batches: &[&Tensor]) -> Vec<Tensor> {
        if let [only] = batches {
            return vec![self.raw(only)];
        }
        let sizes: Vec<i64> = batches.iter().map(|x| x.size()[0]).collect();
        self.raw(&Tensor::cat(batches, 0)).split_with_sizes(sizes, 0)
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
