//! Textures drawn by code: waves, stripes, checkers and smooth noise, each in two colours of its own.

use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// Images that are drawn at once, which bounds the memory for it.
const BLOCK: i64 = 1024;

/// Cells along a side of the coarse noise that smooth noise is made of.
const COARSE: i64 = 5;

/// u8 images `[N,C,H,W]`: sinusoidal waves, stripes, checkers and smooth noise take turns.
///
/// Waves and stripes have any direction and a period of an eighth to a half of the shorter side, checkers cells of a
/// sixteenth to a quarter of it. Smooth noise is a coarse grid of uniform numbers, interpolated (bicubic). In every
/// channel the two colours lie at least a quarter of the range apart.
pub fn textures(size: [i64; 4], device: Device, rng: &mut Stream) -> Tensor {
    let [n, c, h, w] = size;
    let mut blocks = vec![Tensor::zeros([0, c, h, w], (Kind::Uint8, device))];
    for from in (0..n).step_by(BLOCK as usize) {
        let n = BLOCK.min(n - from);
        let share = shares([n, h, w], device, rng);
        let first = rng.uniform(&[n, c, 1, 1], 0.0, 1.0, device);
        let apart = rng.uniform(&[n, c, 1, 1], 0.25, 0.75, device);
        let second = (&first + apart).fmod(1.0);
        let image: Tensor = &first + (second - &first) * share;
        blocks.push((image * 255.0).round().clamp(0.0, 255.0).to_kind(Kind::Uint8));
    }
    Tensor::cat(&blocks, 0)
}

/// How much of the second colour each pixel has, `[n,1,h,w]` in [0, 1].
fn shares([n, h, w]: [i64; 3], device: Device, rng: &mut Stream) -> Tensor {
    let side = h.min(w) as f64;
    let mut draw = |low: f64, high: f64| rng.uniform(&[n, 1, 1, 1], low, high, device);
    let (angle, period) = (draw(0.0, std::f64::consts::TAU), draw(side / 8.0, side / 2.0));
    let (phase, other) = (draw(0.0, 1.0), draw(0.0, 1.0));
    let y = Tensor::arange(h, (Kind::Float, device)).view([1, 1, h, 1]);
    let x = Tensor::arange(w, (Kind::Float, device)).view([1, 1, 1, w]);
    let along = (&x * angle.cos() + &y * angle.sin()) / &period + &phase;
    let wave: Tensor = (along * std::f64::consts::TAU).sin();
    let stripe = wave.ge(0.0).to_kind(Kind::Float);
    // Half a wave's period is a cell, and cells of two kinds alternate along both sides.
    let cell = &period / 2.0;
    let parity = |at: &Tensor, phase: &Tensor| (at / &cell + phase * 2.0).floor().fmod(2.0);
    let checker = (parity(&x, &phase) - parity(&y, &other)).abs();
    let kinds = [(wave + 1.0) / 2.0, stripe, checker, smooth([n, h, w], device, rng)];
    let turn = Tensor::arange(n, (Kind::Int64, device)).remainder(kinds.len() as i64);
    let index = turn.view([1, n, 1, 1, 1]).expand([1, n, 1, h, w], false);
    Tensor::stack(&kinds, 0).gather(0, &index, false).squeeze_dim(0)
}

/// Coarse uniform noise, enlarged to `[n,1,h,w]` and stretched to all of [0, 1].
fn smooth([n, h, w]: [i64; 3], device: Device, rng: &mut Stream) -> Tensor {
    let coarse = rng.uniform(&[n, 1, COARSE, COARSE], 0.0, 1.0, device);
    let large = coarse.upsample_bicubic2d([h, w], false, None, None);
    let (low, high) = (large.amin([2, 3], true), large.amax([2, 3], true));
    (large - &low) / (high - low).clamp_min(1e-6)
}
