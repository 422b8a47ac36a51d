//! The mean of weights as an estimate, with an interval from independent chains.

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// Resamplings of the chains that an interval is made of.
const RESAMPLINGS: i64 = 2000;
/// The share of them that an interval holds.
const CONFIDENCE: f64 = 0.95;

/// The logarithm of a mean of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// log mean w
    pub value: f64,
    /// Between these lies the middle 95 % of the values of resampled chains (Efron 1979).
    pub interval: [f64; 2],
    /// (sum w)^2 / sum w^2: how many equal weights would vary as little.
    pub effective: f64,
}

impl Estimate {
    /// Of the logarithms of the weights of independent chains, `[N]`.
    pub fn of(log_weights: &Tensor, rng: &mut Stream) -> Self {
        let log = log_weights.to_device(Device::Cpu).to_kind(Kind::Double);
        let n = log.size()[0];
        let mean = |log: &Tensor| log.logsumexp(-1, false) - (n as f64).ln();
        let picked = rng.integers(n, n * RESAMPLINGS, Device::Cpu);
        let resampled = mean(&log.index_select(0, &picked).view([RESAMPLINGS, n]));
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let quantile = |q: f64| resampled.quantile_scalar(q, 0, false, "linear").double_value(&[]);
        let square = (&log * 2.0).logsumexp(0, false);
        Self {
            value: mean(&log).double_value(&[]),
            interval: [quantile(tail), quantile(1.0 - tail)],
            effective: (log.logsumexp(0, false) * 2.0 - square).exp().double_value(&[]),
        }
    }

    /// Of minus the logarithm, plus a constant.
    pub(super) fn mirrored(self, constant: f64) -> Self {
        let [low, high] = self.interval;
        Self {
            value: constant - self.value,
            interval: [constant - high, constant - low],
            ..self
        }
    }

    /// The same plus a constant.
    pub(super) fn shifted(self, constant: f64) -> Self {
        Self {
            value: self.value + constant,
            interval: self.interval.map(|end| end + constant),
            ..self
        }
    }
}
