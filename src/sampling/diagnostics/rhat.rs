//! The potential scale reduction of split, rank-normalised chains.

use tch::{Kind, Tensor};

use super::moments::{halves, usable};
use super::ranks::{folded, normalised};

/// Rank-normalised split R-hat of a trace `[draws, chains]`, the greater of bulk and folded
/// (Vehtari et al. 2021).
///
/// 1.01 and less is usually taken for mixed.
pub fn split_rhat(trace: &Tensor) -> Option<f64> {
    let rows = usable(trace)?;
    if rows.size()[0] < 2 {
        return None;
    }
    let halves = halves(&rows);
    let (bulk, tail) = (rhat(&normalised(&halves)), rhat(&normalised(&folded(&halves))));
    // A spread without variance at all is not a number; the other then speaks alone.
    let greater = bulk.max(tail);
    (!greater.is_nan()).then_some(greater)
}

/// R-hat of rows `[chains, draws]` as they are (Gelman & Rubin 1992).
fn rhat(rows: &Tensor) -> f64 {
    let draws = rows.size()[1] as f64;
    let dim = [1i64];
    let means = rows.mean_dim(dim.as_slice(), false, Kind::Double);
    let within = rows.var_dim(dim.as_slice(), true, false).mean(Kind::Double);
    let between = draws * means.var(true).double_value(&[]);
    ((between / within.double_value(&[]) + draws - 1.0) / draws).sqrt()
}
