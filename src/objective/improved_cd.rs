//! The two terms of improved contrastive divergence (Du et al. 2021): chains end where the model is likely, and apart.
//!
//! The loss is that of maximum likelihood + [`kl_term`] + 0.3 [`entropy_term`], both of the ends x_K of chains whose last
//! step is differentiable in the live network's parameters
//! ([`step_with_graph`](crate::sampling::Langevin::step_with_graph)).

use tch::{Kind, Tensor};

use crate::energy::Energy;

/// The least distance whose logarithm is taken, in the units of images: below it the entropy term is flat.
pub const LEAST_DISTANCE: f64 = 1e-6;

/// Kept out of the fast product form of distances, which rounds small ones away.
const EXACT_DISTANCES: i64 = 2;

/// mean E(x_K), `[]`: the part of the KL divergence between chains and model that plain contrastive divergence leaves out.
///
/// `frozen` is the energy with its parameters held constant, so that the gradient flows through `x_last`, `[B,C,H,W]`,
/// alone.
pub fn kl_term(frozen: &dyn Energy, x_last: &Tensor) -> Tensor {
    let energy = frozen.energy(x_last);
    energy.mean(energy.kind())
}

/// - mean log |x - nearest of `others`|, `[]`: minus the entropy of where chains end, up to a factor and a constant, by
/// its estimate from nearest neighbours (Kozachenko & Leonenko 1987).
///
/// `x_last` is `[B,C,H,W]`, `others` `[M,C,H,W]`, M of 1 or more, are images that the gradient leaves alone, such as 100
/// of the replay buffer. A distance counts as [`LEAST_DISTANCE`] at least.
pub fn entropy_term(x_last: &Tensor, others: &Tensor) -> Tensor {
    let (x, others) = (x_last.flatten(1, -1), others.detach().flatten(1, -1));
    let distances = Tensor::cdist(&x.detach(), &others, 2.0, EXACT_DISTANCES);
    let nearest = others.index_select(0, &distances.argmin(1, false));
    // The root is taken as half of the logarithm: its own slope at 0 is infinite.
    let squares = (x - nearest).square().sum_dim_intlist(1, false, Kind::Float);
    squares
        .clamp_min(LEAST_DISTANCE * LEAST_DISTANCE)
        .log()
        .mean(Kind::Float)
        * -0.5
}
