//! The area under the ROC curve, exactly.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// The chance that an outlier scores higher than an image of the data, ties counting half.
///
/// Scores are `[N]` and `[M]` of any float kind, higher = more out of distribution (an energy is such a
/// score). This is the Mann-Whitney statistic over all N x M pairs, which is the area under the ROC curve
/// (Hanley & McNeil 1982); counts are whole numbers, so the result is exact but for one rounding.
///
/// # Errors
/// Where a side is empty or holds a NaN.
pub fn auroc(in_scores: &Tensor, out_scores: &Tensor) -> Result<f64> {
    let inside = scores(in_scores, "in-distribution scores")?;
    let outside = scores(out_scores, "out-of-distribution scores")?.to_device(inside.device());
    let (sorted, _) = inside.sort(0, false);
    let count = |right: bool| {
        let side = if right { "right" } else { "left" };
        let below = outside.f_searchsorted(&sorted, false, right, side, None::<&Tensor>)?;
        below.sum(Kind::Int64).f_int64_value(&[])
    };
    // Pairs won, and pairs won or tied: their mean counts a tie half.
    let (won, won_or_tied) = (count(false)?, count(true)?);
    let pairs = inside.numel() as f64 * outside.numel() as f64;
    Ok((won + won_or_tied) as f64 / 2.0 / pairs)
}

/// The scores as a row of f64, which holds every narrower float exactly.
pub(super) fn scores(given: &Tensor, place: &str) -> Result<Tensor> {
    let row = given.detach().to_kind(Kind::Double).reshape(-1);
    let bad = row.isnan().sum(Kind::Int64).f_int64_value(&[])?;
    if row.numel() == 0 || bad > 0 {
        return Err(Error::input(
            place,
            format!("expected numbers, found {bad} NaN among {}", row.numel()),
            "score at least one image, with a model that has not diverged",
        ));
    }
    Ok(row)
}
