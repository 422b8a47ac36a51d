//! How tensors start; drawn on the CPU, so that a seed means the same network on every device.

use tch::{Device, Kind, Tensor};

use super::config::Init;
use super::plan::{Slot, Start};
use crate::rng::Stream;

/// A new tensor for `slot`, on the CPU.
pub(super) fn start(slot: &Slot, rng: &mut Stream) -> Tensor {
    let options = (slot.kind, Device::Cpu);
    match slot.start {
        Start::Weight(rule) => weight(rule, &slot.shape, rng),
        Start::Bias(Init::Pytorch, fan_in) => symmetric(&slot.shape, 1.0 / (fan_in as f64).sqrt(), rng),
        Start::Bias(..) | Start::Zeros => Tensor::zeros(&slot.shape, options),
        Start::Ones => Tensor::ones(&slot.shape, options),
        Start::Direction => {
            let direction = rng.normal(&slot.shape, Device::Cpu);
            &direction / direction.norm()
        }
    }
}

/// A weight of shape `[outputs, inputs, ...]`; what follows the inputs belongs to both fans.
fn weight(rule: Init, shape: &[i64], rng: &mut Stream) -> Tensor {
    let field: i64 = shape[2..].iter().product();
    let (fan_in, fan_out) = ((shape[1] * field) as f64, (shape[0] * field) as f64);
    match rule {
        Init::Pytorch => symmetric(shape, 1.0 / fan_in.sqrt(), rng),
        Init::Normal { std } => rng.normal(shape, Device::Cpu) * std,
        Init::XavierUniform => symmetric(shape, (6.0 / (fan_in + fan_out)).sqrt(), rng),
        Init::KaimingNormal => rng.normal(shape, Device::Cpu) * (2.0 / fan_in).sqrt(),
        Init::Orthogonal { gain } => orthogonal(shape, rng) * gain,
    }
}

fn symmetric(shape: &[i64], bound: f64, rng: &mut Stream) -> Tensor {
    rng.uniform(shape, -bound, bound, Device::Cpu)
}

/// Orthonormal rows, or columns where there are more rows than columns, uniform over all such matrices.
fn orthogonal(shape: &[i64], rng: &mut Stream) -> Tensor {
    let (rows, cols) = (shape[0], shape[1..].iter().product::<i64>());
    let tall = rng.normal(&[rows.max(cols), rows.min(cols)], Device::Cpu);
    let (q, r) = Tensor::linalg_qr(&tall.to_kind(Kind::Double), "reduced");
    // The signs make the factorisation unique, and the draw uniform (Mezzadri 2007).
    let q = q * r.diagonal(0, 0, 1).sign();
    let q = if rows < cols { q.tr() } else { q };
    q.to_kind(Kind::Float).contiguous().view(shape)
}
