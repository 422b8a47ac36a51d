//! The energy distance: how far two samples are apart, of any shape of state.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// 2 mean |x - y| - mean |x - x'| - mean |y - y'| of states `[N,..]` and `[M,..]`, divided by mean
/// |y - y'| (Szekely & Rizzo 2013).
///
/// Means are over all pairs of two different states, so the expectation is 0 for samples of one
/// distribution, and a value may fall a little below. It is a pure number: a rescaling of both
/// sides leaves it as it is. Time and memory grow with N M.
///
/// # Errors
/// A side has fewer than two states, the states of `y` are all alike, or a number is not finite.
pub fn energy_distance(x: &Tensor, y: &Tensor) -> Result<f64> {
    let place = "energy distance";
    let (n, m) = (x.size()[0], y.size()[0]);
    if n < 2 || m < 2 {
        return Err(Error::input(
            place,
            format!("{n} and {m} states are too few: pairs are compared"),
            "give two states at least on either side",
        ));
    }
    let rows = |t: &Tensor| t.flatten(1, -1).to_kind(Kind::Double);
    let (x, y) = (rows(x), rows(y));
    let total = |a: &Tensor, b: &Tensor| {
        Tensor::cdist(a, b, 2.0, None::<i64>)
            .sum(Kind::Double)
            .double_value(&[])
    };
    // A state's distance from itself is 0, and no pair.
    let within = |t: &Tensor, n: i64| total(t, t) / (n * (n - 1)) as f64;
    let of_y = within(&y, m);
    let found = 2.0 * total(&x, &y) / (n * m) as f64 - within(&x, n) - of_y;
    match found / of_y {
        distance if distance.is_finite() => Ok(distance),
        _ => Err(Error::failure(
            place,
            format!("is no finite number: pairs of the data are {of_y} apart in the mean"),
            "hold out validation states that differ, and look at the chains",
        )),
    }
}
