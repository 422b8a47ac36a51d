//! Whether samples lie among the data and cover them: precision, recall, density and coverage by nearest neighbours.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// The k of Kynkaanniemi et al. (2019).
pub const PRECISION_K: usize = 3;
/// The k of Naeem et al. (2020).
pub const DENSITY_K: usize = 5;
/// So many distances are held at once, 8 bytes each.
const AT_ONCE: i64 = 1 << 22;
/// Rounding leaves a squared distance this share of the squared norms off at most, for some thousand dimensions; f32
/// features are coarser.
const ROUNDING: f64 = 1e-12;

/// Improved precision and recall (Kynkaanniemi et al. 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrecisionRecall {
    /// The share of generated features within reach of a real one.
    pub precision: f64,
    /// The share of real features within reach of a generated one.
    pub recall: f64,
}

/// Density and coverage (Naeem et al. 2020).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityCoverage {
    /// In how many real features' reach a generated one is on average, divided by k; 1 expected of equal distributions.
    pub density: f64,
    /// The share of real features with a generated one within their reach.
    pub coverage: f64,
}

/// Precision and recall of `generated` `[M,D]` against `real` `[N,D]`, of any float kind.
///
/// A feature's reach is the closed ball up to its k-th nearest neighbour on its own side, itself not counted; a feature
/// on its surface, within rounding, is in it. Distances are Euclidean, in f64, a part of them at a time.
///
/// # Errors
/// Where the shapes do not agree, a number is not finite, or a side has no more than k features.
pub fn precision_recall(real: &Tensor, generated: &Tensor, k: usize) -> Result<PrecisionRecall> {
    let [real, generated] = checked(real, generated)?;
    let (reach_real, reach_generated) = (reach(&real, k, "real")?, reach(&generated, k, "generated")?);
    let mut precise = 0;
    let recalled = reach_real.zeros_like().to_kind(Kind::Bool);
    for (from, rows) in parts(&generated, real.size()[0]) {
        let distances = squares(&rows, &real, ROUNDING)?;
        precise += count(&distances.le_tensor(&reach_real).any_dim(1, false))?;
        let of_rows = reach_generated.narrow(0, from, rows.size()[0]).unsqueeze(1);
        let _ = recalled
            .shallow_clone()
            .logical_or_(&distances.le_tensor(&of_rows).any_dim(0, false));
    }
    Ok(PrecisionRecall {
        precision: precise as f64 / generated.size()[0] as f64,
        recall: count(&recalled)? as f64 / real.size()[0] as f64,
    })
}

/// Density and coverage of `generated` `[M,D]` against `real` `[N,D]`, of any float kind; reach as in
/// [`precision_recall`].
///
/// # Errors
/// Where the shapes do not agree, a number is not finite, or there are no more than k real features.
pub fn density_coverage(real: &Tensor, generated: &Tensor, k: usize) -> Result<DensityCoverage> {
    let [real, generated] = checked(real, generated)?;
    let reach = reach(&real, k, "real")?;
    let mut within = 0;
    let covered = reach.zeros_like().to_kind(Kind::Bool);
    for (_, rows) in parts(&generated, real.size()[0]) {
        let hits = squares(&rows, &real, ROUNDING)?.le_tensor(&reach);
        within += count(&hits)?;
        let _ = covered.shallow_clone().logical_or_(&hits.any_dim(0, false));
    }
    Ok(DensityCoverage {
        density: within as f64 / (k as f64 * generated.size()[0] as f64),
        coverage: count(&covered)? as f64 / real.size()[0] as f64,
    })
}

/// The squared distance `[N]` of each feature to its k-th nearest other.
fn reach(features: &Tensor, k: usize, side: &str) -> Result<Tensor> {
    let n = features.size()[0];
    if k == 0 || k as i64 >= n {
        let what = format!("expected k from 1 to {} for {n} {side} features, found {k}", n - 1);
        return Err(Error::input(
            "nearest neighbours",
            what,
            "give more images or another k",
        ));
    }
    let mut reaches = Vec::new();
    for (_, rows) in parts(features, n) {
        // Itself, at distance 0, is the first of the nearest.
        let nearest = squares(&rows, features, 0.0)?.f_topk(k as i64 + 1, 1, false, true)?.0;
        reaches.push(nearest.select(1, k as i64));
    }
    Ok(Tensor::cat(&reaches, 0))
}

/// The rows in parts, each with its first index, whose distances to `others` rows fit in memory.
fn parts(rows: &Tensor, others: i64) -> impl Iterator<Item = (i64, Tensor)> + '_ {
    let (n, step) = (rows.size()[0], (AT_ONCE / others).max(1));
    (0..n)
        .step_by(step as usize)
        .map(move |from| (from, rows.narrow(0, from, step.min(n - from))))
}

/// The squared distances of all rows of `a` to all of `b`, less a share `slack` of the squared norms.
fn squares(a: &Tensor, b: &Tensor, slack: f64) -> Result<Tensor> {
    let norms = |x: &Tensor| x.square().sum_dim_intlist(1, false, Kind::Double) * (1.0 - slack);
    let norms = norms(a).unsqueeze(1) + norms(b);
    Ok(norms - a.f_matmul(&b.tr())? * 2.0)
}

fn count(mask: &Tensor) -> Result<i64> {
    Ok(mask.sum(Kind::Int64).f_int64_value(&[])?)
}

/// Both sides in f64 on one device, about the mean of the real one, which keeps norms and so rounding small.
fn checked(real: &Tensor, generated: &Tensor) -> Result<[Tensor; 2]> {
    let (of_real, of_generated) = (real.size(), generated.size());
    let fits = of_real.len() == 2 && of_generated.len() == 2 && of_real[1] == of_generated[1];
    if !fits || of_real[0] == 0 || of_generated[0] == 0 {
        let what = format!("expected [N,D] and [M,D], found {of_real:?} and {of_generated:?}");
        return Err(Error::input("features", what, "take both from the same network"));
    }
    for side in [real, generated] {
        if !bool::try_from(side.isfinite().all())? {
            let what = "expected finite numbers, found others";
            return Err(Error::input("features", what, "take a network and images without NaN"));
        }
    }
    let ready = |x: &Tensor| x.detach().to_device(real.device()).to_kind(Kind::Double);
    let (real, generated) = (ready(real), ready(generated));
    let mean = real.mean_dim(0, true, Kind::Double);
    Ok([real - &mean, generated - mean])
}
