//! The score of Salimans et al. (2016): samples that are each of a clear class, and all classes among them.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// How far from 1 the probabilities of an image may sum; half-precision ones do.
const SLACK: f64 = 1e-2;

/// exp(E KL(p(y|x) || p(y))) over splits of the samples, in [1, K].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InceptionScore {
    /// The mean over the splits.
    pub mean: f64,
    /// The standard deviation over the splits (divided by their number), 0 of one.
    pub std: f64,
    /// How many splits.
    pub splits: usize,
}

/// The score of samples whose class probabilities `[N,K]` a classifier gave; the Inception score where the classifier is
/// Inception.
///
/// Split s of S holds the samples from floor(s N / S) up to but not including floor((s + 1) N / S); p(y) is the mean
/// within the split. Sums are f64; 0 log 0 is 0.
///
/// # Errors
/// Where there are fewer samples than splits, or the rows are no probabilities.
pub fn inception_score(probabilities: &Tensor, splits: usize) -> Result<InceptionScore> {
    let p = checked(probabilities, splits)?;
    let cut = |s: usize| s as i64 * p.size()[0] / splits as i64;
    let scores = (0..splits)
        .map(|s| score(&p.narrow(0, cut(s), cut(s + 1) - cut(s))))
        .collect::<Result<Vec<f64>>>()?;
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok(InceptionScore {
        mean,
        std: variance.sqrt(),
        splits,
    })
}

fn score(p: &Tensor) -> Result<f64> {
    let marginal = p.mean_dim(0, true, Kind::Double);
    // sum p log p - sum p log p(y); a class that no sample has is 0 log 0 in both.
    let divergence = p.xlogy(p) - p.xlogy(&marginal);
    let mean = divergence.sum_dim_intlist(1, false, Kind::Double).mean(Kind::Double);
    Ok(mean.f_double_value(&[])?.exp())
}

fn checked(probabilities: &Tensor, splits: usize) -> Result<Tensor> {
    let size = probabilities.size();
    if size.len() != 2 || splits == 0 || size[0] < splits as i64 {
        let what = format!("expected [N,K], N at least the splits, found {size:?} for {splits} splits");
        return Err(Error::input(
            "class probabilities",
            what,
            "give more samples or fewer splits",
        ));
    }
    let p = probabilities.detach().to_kind(Kind::Double);
    let off = (p.sum_dim_intlist(1, false, Kind::Double) - 1.0).abs().max();
    let (off, least) = (off.f_double_value(&[])?, p.min().f_double_value(&[])?);
    // A NaN holds neither.
    if !(off <= SLACK && least >= 0.0) {
        let what = format!("expected rows of at least 0 that sum to 1, found {least} and a sum {off} off");
        return Err(Error::input(
            "class probabilities",
            what,
            "take the softmax of the logits",
        ));
    }
    Ok(p)
}
