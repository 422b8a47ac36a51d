//! What one step of training learns from.

use tch::Tensor;

use crate::energy::draw_classes;
use crate::rng::Stream;

/// What a step learns from; what its objective does not use is absent.
pub(super) struct Batch {
    /// Images of the data, `[B,C,H,W]`.
    pub positive: Option<Tensor>,
    /// Labelled images `[b,C,H,W]` and their classes `[b]`.
    pub labelled: Option<[Tensor; 2]>,
    /// Synthesised images.
    pub negative: Option<Synthesised>,
}

/// What chains ended in.
pub(super) struct Synthesised {
    /// `[B,C,H,W]`
    pub x: Tensor,
    /// The class of each chain.
    pub class: ChainClass,
    /// Mean norm of the gradients along the chains, `[]`.
    pub grad_norm: Tensor,
    /// What the terms of improved contrastive divergence need, where the objective has them.
    pub last_step: Option<LastStep>,
}

/// The class of each of some chains.
pub(super) enum ChainClass {
    /// Chains have none.
    None,
    /// They kept it, `[B]`.
    Kept(Tensor),
    /// It is drawn where the chain ended, by this standard Gumbel noise, `[B,K]`.
    Drawn(Tensor),
}

impl ChainClass {
    /// The classes `[B]` of chains whose ends have the logits `[B,K]`.
    pub fn of(&self, logits: &Tensor) -> Option<Tensor> {
        match self {
            Self::None => None,
            Self::Kept(classes) => Some(classes.shallow_clone()),
            Self::Drawn(gumbel) => Some(draw_classes(logits, gumbel)),
        }
    }

    /// What it is made of, if anything.
    pub fn tensor(&self) -> Option<&Tensor> {
        match self {
            Self::None => None,
            Self::Kept(t) | Self::Drawn(t) => Some(t),
        }
    }

    /// The same in memory of its own.
    pub fn copy(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Kept(t) => Self::Kept(t.copy()),
            Self::Drawn(t) => Self::Drawn(t.copy()),
        }
    }
}

/// The last step of chains, to be taken again with a graph behind it.
pub(super) struct LastStep {
    /// The states before it, `[B,C,H,W]`.
    pub before: Tensor,
    /// Chains of the buffer that the ends are to keep apart from, `[M,C,H,W]`.
    pub others: Option<Tensor>,
    /// Its noise, the same in every pass of a training step.
    pub rng: Stream,
}
