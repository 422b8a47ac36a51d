//! Normal distributions of states: given, or fitted to the training states.

use std::f64::consts::PI;

use tch::{Device, Kind, Tensor};

use crate::data::Images;
use crate::error::{Error, Result};
use crate::models::Density;
use crate::rng::Stream;
use crate::space::sum_each;

/// States whose moments are summed together.
pub(super) const BATCH: i64 = 2048;

/// f64 `[at most BATCH,D]` of the states from number `from` on.
pub(super) fn rows(train: &Images, from: i64) -> Tensor {
    train.chunk(from, BATCH).flatten(1, -1).to_kind(Kind::Double)
}

/// Where batches of all states begin.
pub(super) fn starts(train: &Images) -> impl Iterator<Item = i64> + use<> {
    (0..train.len()).step_by(BATCH as usize)
}

/// log of (2 pi)^(D/2).
fn constant(numbers: f64) -> f64 {
    0.5 * numbers * (2.0 * PI).ln()
}

/// Every number N(mean, std^2).
#[derive(Debug)]
pub(super) struct Each {
    pub(super) mean: f64,
    pub(super) std: f64,
}

impl Density for Each {
    fn log(&self, x: &Tensor) -> Tensor {
        let numbers = (x.numel() as i64 / x.size()[0]) as f64;
        sum_each(&((x - self.mean) / self.std).square()) * -0.5 - (constant(numbers) + numbers * self.std.ln())
    }

    fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor {
        rng.normal(size, device) * self.std + self.mean
    }
}

/// N(mean, covariance) of whole states.
#[derive(Debug)]
pub(super) struct Normal {
    /// `[D]`
    pub(super) mean: Tensor,
    /// Lower triangular, `[D,D]`: the factor of the covariance.
    factor: Tensor,
    /// Half of the logarithm of the covariance's determinant.
    half_log_det: f64,
}

impl Normal {
    /// Of a covariance f64 `[D,D]`, to whose diagonal `jitter` is added; none where that is not
    /// positive definite.
    pub(super) fn of(mean: Tensor, covariance: Tensor, jitter: f64) -> Option<Self> {
        let _ = covariance.diagonal(0, 0, 1).g_add_scalar_(jitter);
        let factor = covariance.f_linalg_cholesky(false).ok()?;
        let half_log_det = factor.diagonal(0, 0, 1).log().sum(Kind::Double).double_value(&[]);
        Some(Self {
            mean,
            factor,
            half_log_det,
        })
    }

    /// The normal distribution of the training states.
    pub(super) fn fitted(train: &Images, jitter: f64) -> Result<Self> {
        let n = train.len();
        if n < 2 {
            return Err(Error::input(
                "objective.nce.noise",
                format!("a covariance cannot be fitted to {n} training states"),
                "use more of the data (data.limit), or noise: {gaussian: {mean: 0, std: 1}}",
            ));
        }
        let sum = |of: &dyn Fn(i64) -> Tensor| starts(train).map(of).reduce(|a, b| a + b).expect("there are states");
        let mean = sum(&|from| rows(train, from).sum_dim_intlist(0, false, Kind::Double)) / n as f64;
        let products = sum(&|from| {
            let centred = rows(train, from) - &mean;
            centred.tr().matmul(&centred)
        });
        let normal = Self::of(mean, products / (n - 1) as f64, jitter).ok_or_else(|| {
            Error::input(
                "objective.nce.noise.data.jitter",
                format!("the covariance of the training states is not positive definite with {jitter}"),
                "give a larger one",
            )
        })?;
        Ok(normal.to_kind(Kind::Float))
    }

    /// The same in numbers of another kind.
    pub(super) fn to_kind(&self, kind: Kind) -> Self {
        Self {
            mean: self.mean.to_kind(kind),
            factor: self.factor.to_kind(kind),
            half_log_det: self.half_log_det,
        }
    }

    /// L z for rows z `[n,D]`, `[n,D]`: a state without its mean.
    pub(super) fn spread(&self, z: &Tensor) -> Tensor {
        z.matmul(&self.factor.tr())
    }
}

impl Density for Normal {
    fn log(&self, x: &Tensor) -> Tensor {
        let numbers = (x.numel() as i64 / x.size()[0]) as f64;
        let centred = (x.flatten(1, -1) - &self.mean).tr();
        let z = self.factor.linalg_solve_triangular(&centred, false, true, false);
        sum_each(&z.tr().square()) * -0.5 - (constant(numbers) + self.half_log_det)
    }

    fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor {
        let z = rng.normal(size, device);
        (self.spread(&z.flatten(1, -1)) + &self.mean).view(size)
    }
}
