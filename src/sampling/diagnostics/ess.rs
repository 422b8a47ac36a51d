//! Autocorrelation, effective sample sizes and the Monte Carlo error of a mean.

use tch::{Kind, Tensor};

use super::moments::{constant, halves, mean_and_std, rows, usable, values};
use super::ranks::{at_most_quantile, normalised};

/// The ends of the tail whose estimates `ess_tail` judges.
const TAILS: [f64; 2] = [0.05, 0.95];

/// Rows transformed together, which bounds the memory of a transform.
const BLOCK: i64 = 64;

/// The effective sample size of the rank-normalised trace `[draws, chains]`, for the bulk of the
/// distribution.
pub fn ess_bulk(trace: &Tensor) -> Option<f64> {
    ess(&normalised(&halves(&usable(trace)?)))
}

/// The lesser effective sample size of the 5 % and the 95 % quantile, of a trace `[draws, chains]`.
pub fn ess_tail(trace: &Tensor) -> Option<f64> {
    let rows = usable(trace)?;
    let [low, high] = TAILS.map(|share| ess(&halves(&at_most_quantile(&rows, share))));
    Some(low?.min(high?))
}

/// The effective sample size of the values of the trace `[draws, chains]` themselves, for their
/// mean.
pub fn ess_mean(trace: &Tensor) -> Option<f64> {
    ess(&halves(&usable(trace)?))
}

/// The standard error of the mean of the trace `[draws, chains]`: its deviation over the root of
/// `ess_mean`.
pub fn mcse_mean(trace: &Tensor) -> Option<f64> {
    let (_, std) = mean_and_std(&usable(trace)?);
    Some(std? / ess_mean(trace)?.sqrt())
}

/// The autocorrelation of every chain of the trace `[draws, chains]`, `[lags, chains]`, f64 on the
/// host.
///
/// There are as many lags as draws, from 0. The covariance at a lag is divided by the number of
/// draws, which shrinks long lags. A chain that is constant or not finite has NaN throughout.
pub fn autocorrelation(trace: &Tensor) -> Tensor {
    let rows = rows(trace);
    if rows.numel() == 0 {
        return rows.tr();
    }
    let covariances: Vec<Tensor> = rows.split(BLOCK, 0).iter().map(autocovariance).collect();
    let covariances = Tensor::cat(&covariances, 0);
    let least = rows.amin([1i64].as_slice(), true);
    let varies = rows.amax([1i64].as_slice(), true).ne_tensor(&least);
    // The mean of equal values may be rounded, which would leave a constant a variance.
    let variance = covariances.narrow(1, 0, 1).where_scalarother(&varies, f64::NAN);
    (covariances / variance).tr().contiguous()
}

/// The autocovariance of each row at every lag, `[chains, draws]`, by a Fourier transform padded
/// with zeros.
fn autocovariance(rows: &Tensor) -> Tensor {
    let draws = rows.size()[1];
    let length = (2 * draws).max(2) as u64;
    let length = length.next_power_of_two() as i64;
    let centred = rows - rows.mean_dim([1i64].as_slice(), true, Kind::Double);
    let waves = centred.fft_rfft(length, -1, "backward");
    let power = &waves * waves.conj();
    power.fft_irfft(length, -1, "backward").narrow(1, 0, draws) / draws as f64
}

/// The effective sample size of rows `[chains, draws]`, two of each at least; of a constant, how
/// many values it has.
///
/// None where the squares of values are too large.
fn ess(rows: &Tensor) -> Option<f64> {
    let (chains, draws) = (rows.size()[0] as f64, rows.size()[1] as f64);
    let all = chains * draws;
    if constant(rows) {
        return Some(all);
    }
    let blocks = rows.split(BLOCK, 0);
    let sums = blocks.iter().map(|block| {
        let covariance = autocovariance(block);
        covariance.sum_dim_intlist(0, false, Kind::Double)
    });
    let covariance = sums.reduce(|a, b| a + b)? / chains;
    let covariance = values(&covariance);
    let within = covariance[0] * draws / (draws - 1.0);
    let means = rows.mean_dim([1i64].as_slice(), false, Kind::Double);
    let total = covariance[0] + means.var(true).double_value(&[]);
    // Values too large to square have no figures.
    if !total.is_finite() {
        return None;
    }
    let correlation = |lag: usize| 1.0 - (within - covariance[lag]) / total;
    let time = integrated_time(correlation, covariance.len());
    // Antithetic chains may be better than independent draws, but no estimate is trusted beyond
    // this.
    Some(all / time.max(1.0 / all.log10()))
}

/// The integrated autocorrelation time by Geyer's initial monotone sequence (Geyer 1992), from
/// correlations at lags.
fn integrated_time(correlation: impl Fn(usize) -> f64, draws: usize) -> f64 {
    let pair = |k: usize| [correlation(2 * k), correlation(2 * k + 1)];
    let sum = |pair: [f64; 2]| pair[0] + pair[1];
    // Sums of neighbouring lags are positive for a reversible chain: the first that is not is
    // noise.
    let mut last = [1.0, correlation(1)];
    let mut sums = Vec::new();
    while 2 * sums.len() + 4 < draws && sum(last) > 0.0 {
        sums.push(sum(last));
        last = pair(sums.len());
    }
    // They also decrease.
    for k in 1..sums.len() {
        sums[k] = sums[k].min(sums[k - 1]);
    }
    // Of the pair that ends the sequence the even lag counts once: it may only add, unless the pair
    // was a good one.
    let end = if sum(last) >= 0.0 { last[0] } else { last[0].max(0.0) };
    -1.0 + 2.0 * sums.iter().sum::<f64>() + end
}
