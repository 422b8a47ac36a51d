//! The energies that a classifier's logits stand for.

use tch::Tensor;

/// E(x) = `-logsumexp_y f(x)[y]` of logits `[B,K]`, `[B]` (Grathwohl et al. 2020).
pub fn marginal(logits: &Tensor) -> Tensor {
    logits.logsumexp(1, false).neg()
}

/// E(x,y) = `-f(x)[y]` of logits `[B,K]` and classes `[B]` (i64), `[B]`.
pub fn joint(logits: &Tensor, classes: &Tensor) -> Tensor {
    logits.gather(1, &classes.unsqueeze(1), false).squeeze_dim(1).neg()
}

/// [`joint`], and its gradient in the logits.
pub(super) fn joint_with_gradient(logits: &Tensor, classes: &Tensor) -> [Tensor; 2] {
    let slope = logits.zeros_like().scatter_value_(1, &classes.unsqueeze(1), -1.0);
    [joint(logits, classes), slope]
}
