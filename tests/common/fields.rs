//! The field that terms of lines from noise to data teach, in closed form, for data of a mixture of
//! Gaussians on one number whose noise is drawn by itself.

use tch::{Kind, Tensor};

/// A Gaussian of a mixture: its weight, mean and variance.
pub type Part = (f64, f64, f64);

/// Times of the integral over [0, 1].
const TIMES: i64 = 400;

/// At points `[n,1]`, f64 `[n]` each: what a square of a term weighs there, and the mean of what the
/// gradient is to be there.
///
/// x_t = (1 - t) z + t x has in each part a Gaussian of mean t m and variance (1 - t)^2 std^2 + t^2 v, given
/// which z - x is normal around -m + ((1 - t) std^2 - t v) (x_t - t m) over that variance. `along` gives what
/// multiplies z - x, and the weight, of a time.
pub fn field(parts: &[Part], std: f64, at: &Tensor, along: impl Fn(f64) -> [f64; 2]) -> (Tensor, Tensor) {
    let at = at.to_kind(Kind::Double).view(-1);
    let (mut mass, mut sum) = (at.zeros_like(), at.zeros_like());
    for i in 0..TIMES {
        let t = (i as f64 + 0.5) / TIMES as f64;
        let [slope, weight] = along(t);
        for (share, m, v) in parts {
            let variance = ((1.0 - t) * std).powi(2) + t * t * v;
            let apart = &at - t * m;
            let density = (apart.square() * (-0.5 / variance)).exp() * (share * weight / variance.sqrt());
            let back = apart * (((1.0 - t) * std * std - t * v) / variance) - *m;
            sum += back * &density * slope;
            mass += density;
        }
    }
    let field = sum / mass.clamp_min(1e-300);
    (&mass / mass.sum(Kind::Double), field)
}
