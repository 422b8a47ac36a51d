//! Spectral normalisation: a weight divided by its largest singular value, as PyTorch's `spectral_norm` hook does it.
//!
//! With W the weight as a matrix of outputs by all else, a training pass first improves the singular vectors,
//! v = W^T u / |W^T u|, u = W v / |W v|, and keeps them; then sigma = u^T W v. Gradients flow through W in sigma, not
//! through u and v. With `bound` (IGEBM) the weight is w / sigma * min(sigma, 1), which is w / max(sigma, 1) and is
//! computed so: no division by a vanishing sigma. (The public PyTorch port of IGEBM adds 1e-6 to the divisor, which
//! damps weights with sigma below about 1e-5 further; the bound here leaves them as they are.)

use tch::{Kind, Tensor};

use super::mode::Mode;
use super::plan::{Spectral, Weight};

/// Iterations that a new network's random vectors get, so that evaluation is sound before the first training pass.
const FIRST_ITERATIONS: i64 = 15;

/// The weight as a layer that computes in `kind` uses it, differentiable in the stored weight; normalised in f32.
pub(super) fn effective(weight: &Weight, tensors: &[Tensor], mode: Mode, kind: Kind) -> Tensor {
    let w = &tensors[weight.at];
    let Some(spectral) = &weight.spectral else {
        return w.shallow_clone();
    };
    if mode == Mode::Train {
        improve(w, spectral, tensors, spectral.config.iterations);
    }
    (w / divisor(w, spectral, tensors)).to_kind(kind)
}

/// Writes the weight as the layer uses it into `out`, of any precision.
pub(super) fn fold_into(out: &Tensor, weight: &Weight, tensors: &[Tensor]) {
    let _guard = tch::no_grad_guard();
    let w = &tensors[weight.at];
    match &weight.spectral {
        Some(spectral) => drop(w.divide_out(out, &divisor(w, spectral, tensors))),
        None => out.shallow_clone().copy_(w),
    }
}

/// Brings a new network's vectors close to the singular ones.
pub(super) fn settle(weight: &Weight, tensors: &[Tensor]) {
    if let Some(spectral) = &weight.spectral {
        improve(&tensors[weight.at], spectral, tensors, FIRST_ITERATIONS);
    }
}

/// Power iterations; the stored vectors change in place.
fn improve(w: &Tensor, spectral: &Spectral, tensors: &[Tensor], iterations: i64) {
    let _guard = tch::no_grad_guard();
    let matrix = w.flatten(1, -1);
    let (mut u, mut v) = (tensors[spectral.u].shallow_clone(), tensors[spectral.v].shallow_clone());
    for _ in 0..iterations {
        v.copy_(&unit(&matrix.tr().mv(&u), spectral.config.eps));
        u.copy_(&unit(&matrix.mv(&v), spectral.config.eps));
    }
}

fn unit(x: &Tensor, eps: f64) -> Tensor {
    x / x.norm().clamp_min(eps)
}

/// What the weight is divided by, [].
fn divisor(w: &Tensor, spectral: &Spectral, tensors: &[Tensor]) -> Tensor {
    // Copies, since a later training pass changes the vectors in place before this one's backward pass may have run.
    let (u, v) = (tensors[spectral.u].copy(), tensors[spectral.v].copy());
    let sigma = u.dot(&w.flatten(1, -1).mv(&v));
    if spectral.config.bound {
        sigma.clamp_min(1.0)
    } else {
        sigma
    }
}
