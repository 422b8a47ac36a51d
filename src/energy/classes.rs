//! Energies of classes: E(x,y) of a classifier, and a way from one class to another.

use std::cell::Cell;

use tch::Tensor;

use super::logits::{joint, joint_with_gradient};
use super::{Energy, EnergyGrad, FrozenEnergy, Identity, LiveEnergy, Stages};

/// The classes of a part of a batch that begins at image `first`.
fn part(classes: &Tensor, first: i64, logits: &Tensor) -> Tensor {
    classes.narrow(0, first, logits.size()[0])
}

impl FrozenEnergy {
    /// E(x,y) for one class an image, `[B]`, i64: what class-conditional chains run on.
    ///
    /// # Panics
    /// If the network gives no logits.
    pub fn of_classes<'a>(&'a self, classes: &'a Tensor) -> ClassEnergy<'a> {
        self.ensure_classes();
        ClassEnergy { frozen: self, classes }
    }

    /// (1 - w) E(x,a) + w E(x,b) for two classes an image, `[B]` each, i64; w is 0 until it is set.
    ///
    /// # Panics
    /// If the network gives no logits.
    pub fn between_classes<'a>(&'a self, from: &'a Tensor, to: &'a Tensor) -> BetweenClasses<'a> {
        self.ensure_classes();
        BetweenClasses {
            frozen: self,
            from,
            to,
            weight: Cell::new(0.0),
        }
    }

    pub(super) fn ensure_classes(&self) {
        let has = self.network().classes().is_some();
        assert!(has, "a network without classes has no E(x,y)");
    }
}

/// E(x,y) = `-f(x)[y]` of a frozen classifier, each image with a class of its own.
#[derive(Debug)]
pub struct ClassEnergy<'a> {
    frozen: &'a FrozenEnergy,
    classes: &'a Tensor,
}

impl Energy for ClassEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.frozen.joint_of(&self.frozen.network().forward(x), self.classes, x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let head = |logits: &Tensor, first| joint_with_gradient(logits, &part(self.classes, first, logits));
        Some(self.frozen.gradient(x, head))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.frozen.stages().is_some().then_some(self)
    }

    fn draws(&self) -> bool {
        self.frozen.draws()
    }

    fn identity(&self) -> Option<Identity> {
        let Identity { words, mut reads } = self.frozen.identity()?;
        reads.push(self.classes.shallow_clone());
        Some(Identity {
            words: format!("{words} of classes"),
            reads,
        })
    }
}

impl Stages for ClassEnergy<'_> {
    fn first(&self, x: &Tensor) -> Tensor {
        self.frozen.network().first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        joint(&self.frozen.network().rest(h), self.classes)
    }
}

/// E(x,y) = `-f(x)[y]` of a live classifier, each image with a class of its own.
#[derive(Debug)]
pub struct LiveClassEnergy<'a> {
    live: &'a LiveEnergy<'a>,
    classes: &'a Tensor,
}

impl<'a> LiveEnergy<'a> {
    /// E(x,y) for one class an image, `[B]`, i64, differentiable in the parameters of a network that gives logits.
    pub fn of_classes(&'a self, classes: &'a Tensor) -> LiveClassEnergy<'a> {
        LiveClassEnergy { live: self, classes }
    }
}

impl Energy for LiveClassEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.live.joint_of(&self.live.raw(x), self.classes, x)
    }

    fn draws(&self) -> bool {
        self.live.draws()
    }
}

/// (1 - w) E(x,a) + w E(x,b) of a frozen classifier: a way from one class to another, in one pass of the network.
///
/// Along a chain w is 0 over the first half, and from there rises linearly to 1 at the last step.
#[derive(Debug)]
pub struct BetweenClasses<'a> {
    frozen: &'a FrozenEnergy,
    from: &'a Tensor,
    to: &'a Tensor,
    weight: Cell<f64>,
}

impl BetweenClasses<'_> {
    /// Sets w, from 0 (all of E(x,a)) to 1 (all of E(x,b)), for the energies that follow.
    pub fn set_weight(&self, weight: f64) {
        self.weight.set(weight);
    }

    fn mixed(&self, logits: &Tensor) -> Tensor {
        let w = self.weight.get();
        joint(logits, self.from) * (1.0 - w) + joint(logits, self.to) * w
    }
}

/// The last step, counted from 1, of a chain of `steps` that moves by E(x,a) alone: the half of them, rounded down.
pub fn halfway(steps: usize) -> usize {
    steps / 2
}

/// The w of step `k` of `steps`, counted from 1: 0 over the first half, from there linear, 1 at the last step.
fn weight_at(k: usize, steps: usize) -> f64 {
    let half = halfway(steps);
    k.saturating_sub(half) as f64 / (steps - half).max(1) as f64
}

impl Energy for BetweenClasses<'_> {
    fn prepare(&self, k: usize, n: usize) {
        self.set_weight(weight_at(k, n));
    }

    fn changes(&self) -> bool {
        true
    }

    fn energy(&self, x: &Tensor) -> Tensor {
        let energy = self.mixed(&self.frozen.network().forward(x));
        self.frozen.with_reference(energy, x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let w = self.weight.get();
        let head = |logits: &Tensor, first| {
            let from = joint_with_gradient(logits, &part(self.from, first, logits));
            let to = joint_with_gradient(logits, &part(self.to, first, logits));
            [0, 1].map(|i| &from[i] * (1.0 - w) + &to[i] * w)
        };
        Some(self.frozen.gradient(x, head))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.frozen.stages().is_some().then_some(self)
    }

    fn draws(&self) -> bool {
        self.frozen.draws()
    }
}

impl Stages for BetweenClasses<'_> {
    fn first(&self, x: &Tensor) -> Tensor {
        self.frozen.network().first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        self.mixed(&self.frozen.network().rest(h))
    }
}
