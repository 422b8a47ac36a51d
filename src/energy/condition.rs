//! What is given beside a state, and the energies that it makes of a model's outputs.

use tch::{Kind, Tensor};

use super::logits::{joint, joint_with_gradient};

/// What is given beside the states of a batch; classes are i64 `[B]`, one a state.
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// Nothing: E(x).
    Any,
    /// A class: E(x,y).
    Class(&'a Tensor),
    /// A way from one class to another: (1 - w) E(x,a) + w E(x,b).
    ///
    /// Along a chain w is 0 over the first half, and from there rises linearly to 1 at the last
    /// step.
    Between {
        /// a
        from: &'a Tensor,
        /// b
        to: &'a Tensor,
    },
    /// A class that each pass draws from p(y|x) = softmax(f(x)): E(x,y) of that draw.
    ///
    /// A Langevin step on it, with the draw before it, is a step of a chain on p(x,y): Gibbs in the
    /// class, Langevin in the state. A draw of y given x does not depend on the class before, so
    /// none is kept between passes. Over the draw, the expected gradient in x is that of E(x).
    Drawn,
}

impl Condition<'_> {
    /// Whether it needs a model of classes.
    pub fn needs_classes(&self) -> bool {
        !matches!(self, Self::Any)
    }

    /// The energy that logits stand for, `[B]`, where a class is given; `first` is the number of the
    /// batch's first state, `w` the weight of the second class.
    pub(super) fn of_logits(&self, logits: &Tensor, first: i64, w: f64) -> Option<Tensor> {
        match self {
            Self::Any => None,
            Self::Class(classes) => Some(joint(logits, &part(classes, first, logits))),
            Self::Between { from, to } => {
                let of = |classes| joint(logits, &part(classes, first, logits));
                Some(of(from) * (1.0 - w) + of(to) * w)
            }
            Self::Drawn => Some(joint(logits, &draw(logits))),
        }
    }

    /// The same, and its gradient in the logits.
    pub(super) fn of_logits_with_gradient(&self, logits: &Tensor, first: i64, w: f64) -> Option<[Tensor; 2]> {
        match self {
            Self::Any => None,
            Self::Class(classes) => Some(joint_with_gradient(logits, &part(classes, first, logits))),
            Self::Between { from, to } => {
                let of = |classes| joint_with_gradient(logits, &part(classes, first, logits));
                let (from, to) = (of(from), of(to));
                Some([0, 1].map(|i| &from[i] * (1.0 - w) + &to[i] * w))
            }
            Self::Drawn => Some(joint_with_gradient(logits, &draw(logits))),
        }
    }
}

/// The last step, counted from 1, of a chain of `steps` that moves by E(x,a) alone: the half of
/// them, rounded down.
pub fn halfway(steps: usize) -> usize {
    steps / 2
}

/// The w of step `k` of `steps`, counted from 1: 0 over the first half, from there linear, 1 at the
/// last step.
pub(super) fn weight_at(k: usize, steps: usize) -> f64 {
    let half = halfway(steps);
    k.saturating_sub(half) as f64 / (steps - half).max(1) as f64
}

/// The classes of a part of a batch that begins at state `first`.
fn part(classes: &Tensor, first: i64, logits: &Tensor) -> Tensor {
    classes.narrow(0, first, logits.size()[0])
}

/// The classes `[B]`, i64, that a draw from p(y|x) = softmax(f(x)) gives for logits `[B,K]` and
/// standard Gumbel noise of their shape (the Gumbel-max trick; Maddison et al. 2014). Cut off from
/// any graph.
pub fn draw_classes(logits: &Tensor, gumbel: &Tensor) -> Tensor {
    (logits.detach().to_kind(Kind::Float) + gumbel).argmax(1, false)
}

/// A draw from p(y|x) by torch's generator, which whoever asks for a pass has seeded.
fn draw(logits: &Tensor) -> Tensor {
    let mut gumbel = Tensor::empty(logits.size(), (Kind::Float, logits.device()));
    draw_classes(logits, &gumbel.exponential_(1.0).log_().neg_())
}
