//! E(x,y) with a class that is drawn anew in every pass: chains on images and classes together.

use tch::{Kind, Tensor};

use super::logits::{joint, joint_with_gradient};
use super::{Energy, EnergyGrad, FrozenEnergy, Stages};

/// The classes `[B]`, i64, that a draw from p(y|x) = softmax(f(x)) gives for logits `[B,K]` and
/// standard Gumbel noise of their shape (the Gumbel-max trick; Maddison et al. 2014). Cut off from
/// any graph.
pub fn draw_classes(logits: &Tensor, gumbel: &Tensor) -> Tensor {
    (logits.detach().to_kind(Kind::Float) + gumbel).argmax(1, false)
}

impl FrozenEnergy {
    /// E(x,y) where each pass draws y from p(y|x) first: a Langevin step on it, with that draw
    /// before it, is a step of a chain on p(x,y) (Gibbs in the class, Langevin in the image).
    ///
    /// # Panics
    /// If the network gives no logits.
    pub fn with_drawn_class(&self) -> DrawnClassEnergy<'_> {
        self.ensure_classes();
        DrawnClassEnergy { frozen: self }
    }
}

/// E(x,y) = `-f(x)[y]` of a frozen classifier, y drawn from softmax(f(x)) in each pass.
///
/// A draw of y given x does not depend on the class before, so none is kept between passes. Over
/// the draw, the expected gradient in x is that of E(x).
#[derive(Debug)]
pub struct DrawnClassEnergy<'a> {
    frozen: &'a FrozenEnergy,
}

/// A draw from p(y|x) by torch's generator, which whoever asks for a pass has seeded.
fn draw(logits: &Tensor) -> Tensor {
    let mut gumbel = Tensor::empty(logits.size(), (Kind::Float, logits.device()));
    draw_classes(logits, &gumbel.exponential_(1.0).log_().neg_())
}

impl Energy for DrawnClassEnergy<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let logits = self.frozen.network().forward(x);
        self.frozen.joint_of(&logits, &draw(&logits), x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let head = |logits: &Tensor, _| joint_with_gradient(logits, &draw(logits));
        Some(self.frozen.gradient(x, head))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        self.frozen.stages().is_some().then_some(self)
    }

    fn draws(&self) -> bool {
        true
    }
}

impl Stages for DrawnClassEnergy<'_> {
    fn first(&self, x: &Tensor) -> Tensor {
        self.frozen.network().first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        let logits = self.frozen.network().rest(h);
        joint(&logits, &draw(&logits))
    }
}
