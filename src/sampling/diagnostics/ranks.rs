//! Rank-normalised values, quantiles and indicators of them.

use std::cmp::Ordering;

use tch::{Kind, Tensor};

use super::moments::values;

/// Each value as the normal quantile of its rank among all, of the shape of `x`; equal values share
/// their mean rank.
///
/// The rank r of n becomes the share (r - 3/8) / (n + 1/4) (Blom 1958). `x` holds no value that is
/// not finite.
pub(super) fn normalised(x: &Tensor) -> Tensor {
    let ranks = mean_ranks(&values(x));
    let n = ranks.len() as f64;
    let shares: Vec<f64> = ranks.iter().map(|r| (r - 0.375) / (n + 0.25)).collect();
    Tensor::from_slice(&shares).special_ndtri().view_as(x)
}

/// The ranks of values from 1; equal ones share the mean of theirs.
fn mean_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| ascending(&values[*a], &values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for ties in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let to = from + ties.len();
        // The mean of from + 1 to `to`.
        let mean = (from + 1 + to) as f64 / 2.0;
        ties.iter().for_each(|i| ranks[*i] = mean);
        from = to;
    }
    ranks
}

fn ascending(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

/// The distance of each value from the median of all.
pub(super) fn folded(x: &Tensor) -> Tensor {
    let mut sorted = values(x);
    sorted.sort_by(ascending);
    let n = sorted.len();
    let median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    (x - median).abs()
}

/// 1 where a value is at most the quantile of all at `share`, else 0, f64.
pub(super) fn at_most_quantile(x: &Tensor, share: f64) -> Tensor {
    let mut sorted = values(x);
    sorted.sort_by(ascending);
    x.le(quantile(&sorted, share)).to_kind(Kind::Double)
}

/// Linear between the values around it: type 7 of Hyndman & Fan (1996). There are two values or
/// more.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let n = sorted.len() as f64;
    // In this order of operations: whether a value is at most its own quantile hangs on the last
    // bit.
    let place = n * share + (1.0 - share);
    let below = place.clamp(1.0, n - 1.0).floor();
    let weight = (place - below).clamp(0.0, 1.0);
    let k = below as usize;
    (1.0 - weight) * sorted[k - 1] + weight * sorted[k]
}
