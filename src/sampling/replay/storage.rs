//! How chains are stored: as they are, or in 256 levels.

use tch::{Kind, Tensor};

use crate::data;
use crate::rng::Stream;

/// Rounds [-1, 1] to one of 256 levels at random, so that the mean is kept; what lies outside goes
/// to the ends.
pub(super) fn to_levels(x: &Tensor, rng: &mut Stream) -> Tensor {
    let mut dither = Tensor::empty(x.size(), (Kind::Float, x.device()));
    rng.uniform_(&mut dither, 0.0, 1.0);
    let mut level = (x.detach() + 1.0).g_mul_scalar_(127.5);
    let _ = level.g_add_(&dither).floor_().clamp_(0.0, 255.0);
    level.to_kind(Kind::Uint8)
}

/// Chains as f32, whatever they are stored as.
pub(super) fn from_storage(chains: &Tensor) -> Tensor {
    match chains.kind() {
        Kind::Uint8 => data::to_unit(chains),
        _ => chains.shallow_clone(),
    }
}
