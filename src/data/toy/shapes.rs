//! Shapes that have points but no density in closed form: moons, a pinwheel, a spiral.

use std::f64::consts::{PI, TAU};

use tch::{Device, Kind, Tensor};

use super::numbers::{normal, polar, uniform};
use crate::rng::Stream;

/// The radius of a moon, and the deviation of its noise.
const MOON: f64 = 2.0;
const MOON_NOISE: f64 = 0.2;
/// The arms of a pinwheel: how many, how far bent, how large; their deviations along and across.
const ARMS: i64 = 5;
const BEND: f64 = 0.25;
const WHEEL: f64 = 2.0;
const ALONG: f64 = 0.3;
const ACROSS: f64 = 0.1;
/// The distance of the spiral from the origin at an angle of one, and the deviation of its noise.
const SPIRAL: f64 = 0.25;
const SPIRAL_NOISE: f64 = 0.15;

/// An upper half circle, and the same turned by half a turn about the origin; their centres are 1
/// to the left and 0.5 below it, in radii one half and one quarter.
pub(super) fn two_moons(n: i64, rng: &mut Stream) -> Tensor {
    let side = rng.integers(2, n, Device::Cpu).to_kind(Kind::Double) * -2 + 1.0;
    let angle = uniform(n, rng) * PI;
    let centre = Tensor::from_slice(&[-0.5, -0.25]);
    let upper = (polar(&angle.ones_like(), &angle) + centre) * MOON;
    upper * side.unsqueeze(1) + normal(&[n, 2], rng) * MOON_NOISE
}

/// A Gaussian about (1, 0), long to the sides, turned to its arm and on by an angle that grows with
/// its first number (Johnson et al. 2016).
pub(super) fn pinwheel(n: i64, rng: &mut Stream) -> Tensor {
    let arm = rng.integers(ARMS, n, Device::Cpu).to_kind(Kind::Double);
    let drawn = normal(&[n, 2], rng);
    let along: Tensor = drawn.select(1, 0) * ALONG + 1.0;
    let across = drawn.select(1, 1) * ACROSS;
    let turn = arm * (TAU / ARMS as f64) + along.exp() * BEND;
    let (cos, sin) = (turn.cos(), turn.sin());
    let (x, y) = (&along * &cos - &across * &sin, along * sin + across * cos);
    Tensor::stack(&[x, y], 1) * WHEEL
}

/// From 3/4 to 9/4 of a turn, the angle uniform.
pub(super) fn swiss_roll(n: i64, rng: &mut Stream) -> Tensor {
    let angle = (uniform(n, rng) * 2.0 + 1.0) * (1.5 * PI);
    polar(&(&angle * SPIRAL), &angle) + normal(&[n, 2], rng) * SPIRAL_NOISE
}
