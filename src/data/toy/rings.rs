//! Circles about the origin, their radii blurred by a Gaussian that is cut off at 0.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use super::numbers::{polar, uniform};
use crate::rng::Stream;

const RADII: [f64; 4] = [0.8, 1.6, 2.4, 3.2];
const DEVIATION: f64 = 0.12;
/// The logarithm of the density is told as far from the origin as this, or farther.
const NEAREST: f64 = 1e-12;

/// The radii in deviations.
fn means(device: Device) -> Tensor {
    Tensor::from_slice(&RADII).to_device(device) / DEVIATION
}

/// The radius has the quantile function of a Gaussian above 0, the angle is uniform.
pub(super) fn points(n: i64, rng: &mut Stream) -> Tensor {
    let which = rng.integers(RADII.len() as i64, n, Device::Cpu);
    let mean = means(Device::Cpu).index_select(0, &which);
    let below = (-&mean).special_ndtr();
    let share: Tensor = &below + (1.0 - &below) * uniform(n, rng);
    let radius = (mean + share.special_ndtri()) * DEVIATION;
    polar(&radius.clamp_min(0.0), &(uniform(n, rng) * TAU))
}

/// p(x) is the mean over rings of N(r; r_k, s^2) / (P(radius > 0) 2 pi r), where r = |x|.
pub(super) fn log_density(x: &Tensor) -> Tensor {
    let squared = x.square().sum_dim_intlist(1, false, Kind::Double);
    let radius = squared.clamp_min(NEAREST * NEAREST).sqrt();
    let means = means(x.device());
    let off = radius.unsqueeze(1) / DEVIATION - means.unsqueeze(0);
    let exponents = off.square() * -0.5 - means.special_log_ndtr().unsqueeze(0);
    let norm = RADII.len() as f64 * DEVIATION * TAU.sqrt() * TAU;
    exponents.logsumexp(1, false) - radius.log() - norm.ln()
}
