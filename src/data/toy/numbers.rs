//! What the toy densities draw: numbers in double precision on the CPU, and points by angle.

use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// Standard normal numbers, f64.
pub(super) fn normal(size: &[i64], rng: &mut Stream) -> Tensor {
    let mut out = Tensor::empty(size, (Kind::Double, Device::Cpu));
    rng.normal_(&mut out);
    out
}

/// Numbers uniform in [0, 1), f64.
pub(super) fn uniform(n: i64, rng: &mut Stream) -> Tensor {
    let mut out = Tensor::empty([n], (Kind::Double, Device::Cpu));
    rng.uniform_(&mut out, 0.0, 1.0);
    out
}

/// Points at these distances from the origin in these directions, `[n,2]`.
pub(super) fn polar(radius: &Tensor, angle: &Tensor) -> Tensor {
    Tensor::stack(&[radius * angle.cos(), radius * angle.sin()], 1)
}
