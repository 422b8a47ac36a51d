//! Whether a classifier is right as often as it is sure: bins of confidence, and the expected calibration error.

use crate::report::Bin;

/// How many bins (Guo et al. 2017).
pub const BINS: usize = 15;

/// A prediction: the probability of the class predicted, in (0, 1], and the chance that it is right, 0 or 1 (or the
/// share of those of the same confidence).
pub(super) type Prediction = (f64, f64);

/// Bins ((m - 1) / 15, m / 15], m = 1..15, as in Guo et al. (2017).
pub(super) fn width_bins(predictions: &[Prediction]) -> Vec<Bin> {
    let edge = |m: usize| m as f64 / BINS as f64;
    let mut members = vec![Vec::new(); BINS];
    for prediction in predictions {
        let bin = (1..BINS).filter(|m| prediction.0 > edge(*m)).count();
        members[bin].push(*prediction);
    }
    let bins = members.iter().enumerate();
    bins.map(|(m, members)| bin(edge(m), edge(m + 1), members)).collect()
}

/// Bins of equal mass, as in Nixon et al. (2019): in ascending order of confidence, bin m = 0..14 of N predictions
/// holds those from floor(m N / 15) up to but not including floor((m + 1) N / 15).
///
/// Predictions of equal confidence may fall into two bins; each then counts as right by the share of them that is, so
/// that their order means nothing.
pub(super) fn mass_bins(predictions: &[Prediction]) -> Vec<Bin> {
    let mut sorted = predictions.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    for equal in sorted.chunk_by_mut(|a, b| a.0 == b.0) {
        let share = equal.iter().map(|p| p.1).sum::<f64>() / equal.len() as f64;
        equal.iter_mut().for_each(|p| p.1 = share);
    }
    let cut = |m: usize| m * sorted.len() / BINS;
    let members = (0..BINS).map(|m| &sorted[cut(m)..cut(m + 1)]);
    let ends = |members: &[Prediction]| match members {
        [] => (0.0, 0.0),
        [first, ..] => (first.0, members[members.len() - 1].0),
    };
    members
        .map(|members| {
            let (low, high) = ends(members);
            bin(low, high, members)
        })
        .collect()
}

fn bin(low: f64, high: f64, members: &[Prediction]) -> Bin {
    let mean =
        |part: fn(&Prediction) -> f64| members.iter().map(part).fold(0.0, |a, b| a + b) / members.len().max(1) as f64;
    Bin {
        low,
        high,
        count: members.len() as u64,
        confidence: mean(|p| p.0),
        accuracy: mean(|p| p.1),
    }
}

/// The expected calibration error: the mean over predictions of |accuracy - confidence| of their bin; 0 of none.
pub fn ece(bins: &[Bin]) -> f64 {
    let total: u64 = bins.iter().map(|b| b.count).sum();
    let gap = |b: &Bin| b.count as f64 * (b.accuracy - b.confidence).abs();
    bins.iter().map(gap).sum::<f64>() / total.max(1) as f64
}
