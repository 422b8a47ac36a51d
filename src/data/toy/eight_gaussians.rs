//! Eight Gaussians on a circle.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use super::numbers::{normal, polar};
use crate::rng::Stream;

const COUNT: i64 = 8;
const RADIUS: f64 = 2.8;
const DEVIATION: f64 = 0.28;

/// The centres, `[8,2]`, the first to the right.
fn centres(device: Device) -> Tensor {
    let angles = Tensor::arange(COUNT, (Kind::Double, device)) * (TAU / COUNT as f64);
    polar(&angles.full_like(RADIUS), &angles)
}

pub(super) fn points(n: i64, rng: &mut Stream) -> Tensor {
    let which = rng.integers(COUNT, n, Device::Cpu);
    centres(Device::Cpu).index_select(0, &which) + normal(&[n, 2], rng) * DEVIATION
}

pub(super) fn log_density(x: &Tensor) -> Tensor {
    let from = x.unsqueeze(1) - centres(x.device()).unsqueeze(0);
    let squared = from.square().sum_dim_intlist(2, false, Kind::Double);
    let exponents = squared * (-0.5 / DEVIATION.powi(2));
    let norm = COUNT as f64 * TAU * DEVIATION.powi(2);
    exponents.logsumexp(1, false) - norm.ln()
}
