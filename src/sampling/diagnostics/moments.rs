//! A trace as rows of f64 on the host, its halves, its mean and its deviation.

use tch::{Device, Kind, Tensor};

/// ArviZ gives no figure of fewer draws.
const LEAST_DRAWS: i64 = 4;

/// The trace `[draws, chains]` as `[chains, draws]`, f64 on the host, or none where it has no
/// figures.
///
/// # Panics
/// Where the trace does not have two dimensions.
pub(super) fn usable(trace: &Tensor) -> Option<Tensor> {
    let rows = rows(trace);
    let varies = rows.size()[1] >= LEAST_DRAWS && rows.numel() > 0 && finite(&rows) && !constant(&rows);
    varies.then_some(rows)
}

/// The trace `[draws, chains]` as `[chains, draws]`, f64 on the host.
pub(super) fn rows(trace: &Tensor) -> Tensor {
    assert_eq!(trace.dim(), 2, "a trace is [draws, chains], found {:?}", trace.size());
    let host = trace.detach().to_device(Device::Cpu);
    host.to_kind(Kind::Double).tr().contiguous()
}

/// Whether every value is finite.
pub(super) fn finite(x: &Tensor) -> bool {
    x.isfinite().all().int64_value(&[]) == 1
}

/// Whether all values are the same.
pub(super) fn constant(x: &Tensor) -> bool {
    x.max().double_value(&[]) == x.min().double_value(&[])
}

/// The two halves of every row as rows: `[chains, draws]` becomes `[2 chains, draws / 2]`.
///
/// Of an odd number of draws the middle one is left out.
pub(super) fn halves(rows: &Tensor) -> Tensor {
    let draws = rows.size()[1];
    let half = draws / 2;
    Tensor::cat(&[rows.narrow(1, 0, half), rows.narrow(1, draws - half, half)], 0)
}

/// The values of a tensor in their order.
pub(super) fn values(x: &Tensor) -> Vec<f64> {
    let flat = x.contiguous().view(-1);
    Vec::try_from(&flat).expect("rows are f64 on the host")
}

/// Mean, and the standard deviation with n - 1 in the denominator, each none where it is no finite
/// number.
pub(super) fn mean_and_std(rows: &Tensor) -> (Option<f64>, Option<f64>) {
    let number = |x: Tensor| Some(x.double_value(&[])).filter(|x| x.is_finite());
    match rows.numel() {
        0 => (None, None),
        1 => (number(rows.mean(Kind::Double)), None),
        _ => (number(rows.mean(Kind::Double)), number(rows.std(true))),
    }
}
