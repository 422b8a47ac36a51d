//! The squares of one colour of a small board.

use tch::{Device, Kind, Tensor};

use super::numbers::uniform;
use crate::rng::Stream;

/// The board covers [-HALF, HALF]^2.
const HALF: f64 = 4.0;
const SIDE: f64 = 2.0;
/// Squares of a column that have mass.
const FILLED: i64 = 2;

/// Numbers in [0, 1) so coarse that their points are exact in f32: rounding moves none out of its
/// square.
fn places(n: i64, rng: &mut Stream) -> Tensor {
    let steps = f64::from(1 << 20);
    (uniform(n, rng) * steps).floor() / steps
}

/// Column and place are uniform; the squares with mass are those whose column and row add up to an
/// even number.
pub(super) fn points(n: i64, rng: &mut Stream) -> Tensor {
    let x = places(n, rng) * (2.0 * HALF) - HALF;
    let column = ((&x + HALF) / SIDE).floor();
    let row = rng.integers(FILLED, n, Device::Cpu) * 2 + column.remainder(2.0);
    let y = (row + places(n, rng)) * SIDE - HALF;
    Tensor::stack(&[x, y], 1)
}

pub(super) fn log_density(x: &Tensor) -> Tensor {
    let inside = x.ge(-HALF).logical_and(&x.lt(HALF)).all_dim(1, false);
    let square = ((x + HALF) / SIDE).floor();
    let even = square.sum_dim_intlist(1, false, Kind::Double).remainder(2.0).eq(0.0);
    let area = 2.0 * HALF * FILLED as f64 * SIDE;
    let log = Tensor::full_like(&square.select(1, 0), -area.ln());
    log.where_scalarother(&inside.logical_and(&even), f64::NEG_INFINITY)
}
