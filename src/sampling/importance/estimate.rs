//! The mean of weights as an estimate, with an interval from independent chains.

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// Resamplings of the chains that an interval is made of.
const RESAMPLINGS: i64 = 2000;
/// The share of them that an interval holds.
const CONFIDENCE: f64 = 0.95;
/// Numbers that resamplings hold at once.
const AT_ONCE: i64 = 4_000_000;

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
        let groups = Tensor::arange(log_weights.size()[0], (Kind::Int64, Device::Cpu));
        Self::of_groups(log_weights, &groups, rng)
    }

    /// Of chains of which those of a group, `[N]` (i64), are not independent: groups are resampled.
    pub fn of_groups(log_weights: &Tensor, groups: &Tensor, rng: &mut Stream) -> Self {
        let log = log_weights.to_device(Device::Cpu).to_kind(Kind::Double);
        let highest = log.max().double_value(&[]);
        let weights = (&log - highest).exp();
        // The sum of the weights of each group and its size, `[G,2]`.
        let pairs = Tensor::stack(&[&weights, &weights.ones_like()], 1);
        let sums = pairs.zeros_like().index_add(0, &groups.to_device(Device::Cpu), &pairs);
        let there = sums.select(1, 1).gt(0.0).nonzero().squeeze_dim(1);
        let means = resampled(&sums.index_select(0, &there), rng).log() + highest;
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let quantile = |q: f64| means.quantile_scalar(q, 0, false, "linear").double_value(&[]);
        let total = weights.sum(Kind::Double).double_value(&[]);
        Self {
            value: (total / log.size()[0] as f64).ln() + highest,
            interval: [quantile(tail), quantile(1.0 - tail)],
            effective: total * total / weights.square().sum(Kind::Double).double_value(&[]),
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

/// The mean weight of each of many resamplings of groups, whose sums and sizes are `[G,2]`.
fn resampled(groups: &Tensor, rng: &mut Stream) -> Tensor {
    let count = groups.size()[0];
    let part = (AT_ONCE / count).clamp(1, RESAMPLINGS);
    let parts = (0..RESAMPLINGS).step_by(part as usize).map(|first| {
        let n = part.min(RESAMPLINGS - first);
        let picked = rng.integers(count, count * n, Device::Cpu);
        let sums = groups.index_select(0, &picked).view([n, count, 2]);
        let sums = sums.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        sums.select(1, 0) / sums.select(1, 1)
    });
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}
