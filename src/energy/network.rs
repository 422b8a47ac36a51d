//! Networks as energies: a frozen one for chains, a live one for training.

use tch::{Kind, Tensor};

use super::outputs::Slope;
use super::{Condition, Conditioned, Energy, EnergyGrad, Head, Identity, Outputs, Stages};
use crate::nn::{Frozen, Layout, Levels, Mode, Network};

/// A frozen copy of a network: what chains run on, and what scores are made of.
///
/// It is itself the energy E(x).
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
            head: Head::of_network(network.config(), temperature),
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

    /// The energy where that is given beside the images.
    ///
    /// # Panics
    /// A class is given, and the network gives no logits.
    pub fn given<'a>(&'a self, condition: Condition<'a>) -> Conditioned<'a> {
        Conditioned::new(self, condition)
    }

    fn any(&self) -> Conditioned<'_> {
        self.given(Condition::Any)
    }

    fn found(&self, x: &Tensor, sigma: Option<&Tensor>, slope: Slope) -> EnergyGrad {
        let head = |raw: &Tensor| {
            let [energy, slope] = slope(raw, 0);
            (energy, slope)
        };
        let (energy, grad) = self.network.with_gradient_at(x, sigma, head);
        EnergyGrad { energy, grad }
    }
}

impl Outputs for FrozenEnergy {
    fn head(&self) -> Head {
        self.head
    }

    fn raw(&self, x: &Tensor) -> Tensor {
        self.network.forward(x)
    }

    fn levels(&self) -> Option<Levels> {
        self.network.config().levels
    }

    fn raw_at(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        self.network.forward_at(x, Some(sigma))
    }

    fn gradient_at(&self, x: &Tensor, sigma: &Tensor, slope: Slope) -> Option<EnergyGrad> {
        Some(self.found(x, Some(sigma), slope))
    }

    fn classes(&self) -> Option<i64> {
        self.network.classes()
    }

    fn gradient(&self, x: &Tensor, slope: Slope) -> Option<EnergyGrad> {
        Some(self.found(x, None, slope))
    }

    /// A level that enters behind the layers, or before them, is no part of either stage.
    fn cut(&self) -> Option<&dyn Stages> {
        self.levels().is_none().then_some(&self.network as &dyn Stages)
    }

    fn most(&self) -> Option<i64> {
        self.part
    }

    fn is_random(&self) -> bool {
        self.network.draws()
    }

    fn identify(&self) -> Option<Identity> {
        Some(Identity {
            words: format!("network {:?}", self.head),
            reads: self.network.tensors(),
        })
    }
}

impl Stages for Frozen {
    fn first(&self, x: &Tensor) -> Tensor {
        Frozen::first(self, x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        Frozen::rest(self, h)
    }
}

impl Energy for FrozenEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.any().energy(x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        self.any().direct(x)
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.any().stages().is_some().then_some(self)
    }

    fn draws(&self) -> bool {
        self.is_random()
    }

    fn identity(&self) -> Option<Identity> {
        self.identify()
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        self.any().into_level(sigma)
    }
}

impl Stages for FrozenEnergy {
    fn first(&self, x: &Tensor) -> Tensor {
        self.any().first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        self.any().rest(h)
    }
}

/// A live network, whose energy is differentiable in its parameters.
///
/// It is itself the energy E(x).
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
            head: Head::of_network(network.config(), temperature),
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

    /// The energy where that is given beside the images.
    ///
    /// # Panics
    /// A class is given, and the network gives no logits.
    pub fn given<'b>(&'b self, condition: Condition<'b>) -> Conditioned<'b> {
        Conditioned::new(self, condition)
    }
}

impl Outputs for LiveEnergy<'_> {
    fn head(&self) -> Head {
        self.head
    }

    fn raw(&self, x: &Tensor) -> Tensor {
        self.network.forward_in(x, self.mode, self.kind, self.layout)
    }

    fn levels(&self) -> Option<Levels> {
        self.network.config().levels
    }

    fn raw_at(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        self.network
            .forward_at(x, Some(sigma), self.mode, self.kind, self.layout)
    }

    fn classes(&self) -> Option<i64> {
        self.network.classes()
    }

    fn is_random(&self) -> bool {
        self.network.draws(self.mode)
    }

    fn joins(&self) -> bool {
        self.network.joins(self.mode)
    }
}

impl Energy for LiveEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.given(Condition::Any).energy(x)
    }

    fn draws(&self) -> bool {
        self.is_random()
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        self.given(Condition::Any).into_level(sigma)
    }
}
