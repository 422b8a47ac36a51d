//! Out-of-distribution detection by a score: AUROC, AUPR and FPR95 of either side, with bootstrap
//! intervals.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::auroc::scores;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// The share of the positive side that FPR95 finds at least.
const FOUND: f64 = 0.95;
/// The level of the intervals.
const LEVEL: f64 = 0.95;

/// How well a score tells outliers from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The chance that an outlier scores higher than an image of the data, ties counting half.
    pub auroc: f64,
    /// Average precision with the data as the positive side, the lowest scores first.
    pub aupr_in: f64,
    /// Average precision with the outliers as the positive side, the highest scores first.
    pub aupr_out: f64,
    /// FPR95 with the data as the positive side: the share of outliers that is accepted where at
    /// least 95 % of the data are.
    pub fpr95_in: f64,
    /// FPR95 with the outliers as the positive side: the share of the data that is rejected where
    /// at least 95 % of the outliers are.
    pub fpr95_out: f64,
    /// How far resampling moves each of them; none unless asked for.
    pub intervals: Option<Intervals>,
}

/// Percentile bootstrap intervals (Efron 1979), low and high end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// The share of the resamples that lies within.
    pub level: f64,
    /// How often both sides were drawn anew, each from itself with replacement.
    pub resamples: usize,
    /// Of [`Detection::auroc`].
    pub auroc: [f64; 2],
    /// Of [`Detection::aupr_in`].
    pub aupr_in: [f64; 2],
    /// Of [`Detection::aupr_out`].
    pub aupr_out: [f64; 2],
    /// Of [`Detection::fpr95_in`].
    pub fpr95_in: [f64; 2],
    /// Of [`Detection::fpr95_out`].
    pub fpr95_out: [f64; 2],
}

/// Detection of the outliers `[M]` among the data `[N]`, by scores of any float kind, higher = more out of distribution.
///
/// AUPR is the average precision, sum of (R_k - R_(k-1)) P_k over the distinct scores (no interpolation between them),
/// so it depends on N : M; where scores tie, they are one step. `bootstrap` gives the number of resamples and their
/// randomness: the intervals are the 2.5 % and 97.5 % quantiles (linear between neighbours) when both sides are
/// resampled independently.
///
/// # Errors
/// Where a side is empty or holds a NaN, or no resample is asked for.
pub fn detection(
    in_scores: &Tensor,
    out_scores: &Tensor,
    bootstrap: Option<(usize, &mut Stream)>,
) -> Result<Detection> {
    let inside = sorted(in_scores, "in-distribution scores")?;
    let outside = sorted(out_scores, "out-of-distribution scores")?;
    let ranked = Ranked::new(&inside, &outside);
    let [auroc, aupr_in, aupr_out, fpr95_in, fpr95_out] = figures(&ranked.inside.counts, &ranked.outside.counts);
    let intervals = bootstrap.map(|(resamples, rng)| ranked.intervals(resamples, rng));
    Ok(Detection {
        auroc,
        aupr_in,
        aupr_out,
        fpr95_in,
        fpr95_out,
        intervals: intervals.transpose()?,
    })
}

/// The smallest threshold t at which `score <= t` accepts at least the share `tpr`, in (0, 1], of the scores `[N]`.
///
/// # Errors
/// Where there is no score, or one is a NaN, or the share is out of its range.
pub fn threshold(in_scores: &Tensor, tpr: f64) -> Result<f64> {
    if !(tpr > 0.0 && tpr <= 1.0) {
        return Err(Error::input(
            "share to accept",
            format!("expected a number above 0 and at most 1, found {tpr}"),
            "give a share such as 0.95",
        ));
    }
    let inside = sorted(in_scores, "in-distribution scores")?;
    Ok(inside[needed(inside.len(), tpr) - 1])
}

/// The least count that is at least the share `tpr` of `n`.
fn needed(n: usize, tpr: f64) -> usize {
    // The quotient is compared, not the product: 19 / 20 is the number written 0.95, and 0.95 * n may round upwards.
    let below = ((tpr * n as f64) as usize).saturating_sub(2);
    (below.max(1)..n).find(|k| *k as f64 / n as f64 >= tpr).unwrap_or(n)
}

fn sorted(given: &Tensor, place: &str) -> Result<Vec<f64>> {
    let row = scores(given, place)?.to_device(Device::Cpu);
    let mut values = Vec::try_from(row)?;
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// A side as it lies among the distinct scores of both.
struct Side {
    /// How often each distinct score occurs, ascending.
    counts: Vec<u64>,
    /// Which distinct score each image has.
    ranks: Vec<u32>,
}

struct Ranked {
    inside: Side,
    outside: Side,
}

impl Ranked {
    fn new(inside: &[f64], outside: &[f64]) -> Self {
        let mut distinct = [inside, outside].concat();
        distinct.sort_by(f64::total_cmp);
        // Equal, not identical: -0 is 0.
        distinct.dedup();
        Self {
            inside: Side::new(inside, &distinct),
            outside: Side::new(outside, &distinct),
        }
    }

    fn intervals(&self, resamples: usize, rng: &mut Stream) -> Result<Intervals> {
        if resamples == 0 {
            return Err(Error::input(
                "resamples",
                "expected at least 1 for intervals, found 0",
                "ask for some hundreds, or for no intervals",
            ));
        }
        let mut host = rng.host();
        let (mut inside, mut outside) = (self.inside.counts.clone(), self.outside.counts.clone());
        let mut drawn: [Vec<f64>; 5] = Default::default();
        for _ in 0..resamples {
            self.inside.resample(&mut inside, &mut host);
            self.outside.resample(&mut outside, &mut host);
            for (values, value) in drawn.iter_mut().zip(figures(&inside, &outside)) {
                values.push(value);
            }
        }
        let [auroc, aupr_in, aupr_out, fpr95_in, fpr95_out] = drawn.map(ends);
        Ok(Intervals {
            level: LEVEL,
            resamples,
            auroc,
            aupr_in,
            aupr_out,
            fpr95_in,
            fpr95_out,
        })
    }
}

impl Side {
    /// Both ascending; each score is among the distinct ones.
    fn new(scores: &[f64], distinct: &[f64]) -> Self {
        let mut counts = vec![0; distinct.len()];
        let mut at = 0;
        let mut rank = |score: &f64| {
            while distinct[at] < *score {
                at += 1;
            }
            counts[at] += 1;
            at as u32
        };
        let ranks = scores.iter().map(&mut rank).collect();
        Self { counts, ranks }
    }

    /// As many images as there are, drawn with replacement, counted into `counts`.
    fn resample(&self, counts: &mut [u64], rng: &mut impl Rng) {
        counts.fill(0);
        for _ in 0..self.ranks.len() {
            let image = rng.random_range(0..self.ranks.len());
            counts[self.ranks[image] as usize] += 1;
        }
    }
}

/// AUROC, AUPR and FPR95 with the data and with the outliers as the positive side, from the counts
/// of each distinct score, ascending.
fn figures(inside: &[u64], outside: &[u64]) -> [f64; 5] {
    let both = || inside.iter().copied().zip(outside.iter().copied());
    let (n, m): (u64, u64) = (inside.iter().sum(), outside.iter().sum());
    let (mut below, mut won, mut won_or_tied) = (0, 0, 0);
    for (i, o) in both() {
        won += o * below;
        below += i;
        won_or_tied += o * below;
    }
    let auroc = (won + won_or_tied) as f64 / 2.0 / (n as f64 * m as f64);
    let outliers_first = || both().rev().map(|(i, o)| (o, i));
    [
        auroc,
        average_precision(both()),
        average_precision(outliers_first()),
        false_positives(both(), n),
        false_positives(outliers_first(), m),
    ]
}

/// The share of the negatives that is taken along until 95 % of the positives, `n` in all, are
/// found; over (positives, negatives) of each distinct score, the likeliest positives first.
fn false_positives(steps: impl Iterator<Item = (u64, u64)>, n: u64) -> f64 {
    let wanted = needed(n as usize, FOUND) as u64;
    let (mut found, mut taken, mut all) = (0, 0, 0);
    for (positives, negatives) in steps {
        if found < wanted {
            taken += negatives;
        }
        found += positives;
        all += negatives;
    }
    taken as f64 / all as f64
}

/// Over (positives, negatives) of each distinct score, the likeliest positives first.
fn average_precision(steps: impl Iterator<Item = (u64, u64)>) -> f64 {
    let (mut hits, mut found, mut sum) = (0, 0, 0.0);
    for (positives, negatives) in steps {
        hits += positives;
        found += positives + negatives;
        if positives > 0 {
            sum += positives as f64 * hits as f64 / found as f64;
        }
    }
    sum / hits as f64
}

/// The ends of the middle 95 % of the values.
fn ends(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0].map(|share| {
        let place = share * (values.len() - 1) as f64;
        let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
        low + (high - low) * place.fract()
    })
}
