//! Noise-contrastive estimation with a learned log Z.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::space::sum_each;

/// Tells data from noise of a known density q by log p(x) - log q(x), where log p(x) = -E(x)/T -
/// log Z and log Z is a parameter like any other (Gutmann & Hyvarinen 2010). It runs no chains, and
/// its energies come with their normaliser.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nce {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The density of the noise.
    #[serde(default)]
    pub noise: NceNoise,
    /// States of noise for each one of data.
    #[serde(default = "one_each")]
    pub ratio: usize,
}

/// What data are told from.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NceNoise {
    /// Every number of a state N(mean, std^2).
    Gaussian {
        /// Mean of each number.
        mean: f64,
        /// Standard deviation of each number.
        std: f64,
    },
    /// N(mean, covariance + jitter I) of the training states.
    Data {
        /// Added to the variance of each number.
        jitter: f64,
    },
}

impl Default for NceNoise {
    fn default() -> Self {
        Self::Data { jitter: 1e-3 }
    }
}

fn one_each() -> usize {
    1
}

/// States of noise, `[ratio B,..]`.
const NOISE: &str = "noise states";

/// States of data whose moments are summed together.
const BATCH: i64 = 2048;

impl ObjectiveSpec for Nce {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("ratio", self.ratio as u64)?;
        match self.noise {
            NceNoise::Gaussian { mean, std } => {
                c.finite("noise.gaussian.mean", mean)?;
                c.positive("noise.gaussian.std", std)
            }
            NceNoise::Data { jitter } => c.positive("noise.data.jitter", jitter),
        }
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            passes: vec![name::DATA, NOISE],
            ..Asks::of_data()
        }
    }

    fn build(&self, device: Device) -> Box<dyn Objective> {
        let log_z = Tensor::zeros([0i64; 0], (Kind::Float, device)).set_requires_grad(true);
        let density = match self.noise {
            NceNoise::Gaussian { mean, std } => Density::Each { mean, std },
            NceNoise::Data { jitter } => Density::Unfitted { jitter },
        };
        Box::new(Estimation {
            ratio: self.ratio as i64,
            density,
            log_z,
        })
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            noise: NceNoise::default(),
            ratio: 2,
        }
    }
}

/// The term with its parameter.
#[derive(Debug)]
struct Estimation {
    ratio: i64,
    density: Density,
    /// `[]`
    log_z: Tensor,
}

/// The density of the noise.
#[derive(Debug)]
enum Density {
    Each {
        mean: f64,
        std: f64,
    },
    Unfitted {
        jitter: f64,
    },
    /// Mean `[D]`, the lower triangular factor `[D,D]` of the covariance, and half of the logarithm
    /// of its determinant.
    Fitted {
        mean: Tensor,
        factor: Tensor,
        half_log_det: f64,
    },
}

impl Density {
    /// As many states as `x`, `ratio` times.
    fn draw(&self, x: &Tensor, ratio: i64, rng: &mut Stream) -> Tensor {
        let mut size = x.size();
        size[0] *= ratio;
        let z = rng.normal(&size, x.device());
        match self {
            Self::Each { mean, std } => z * *std + *mean,
            Self::Fitted { mean, factor, .. } => (z.flatten(1, -1).matmul(&factor.tr()) + mean).view(&size[..]),
            Self::Unfitted { .. } => unreachable!("noise is fitted before the first step"),
        }
    }

    /// log q(x), `[B]`, normalised.
    fn log(&self, x: &Tensor) -> Tensor {
        let numbers = (x.numel() as i64 / x.size()[0]) as f64;
        let constant = 0.5 * numbers * (2.0 * std::f64::consts::PI).ln();
        match self {
            Self::Each { mean, std } => {
                sum_each(&((x - *mean) / *std).square()) * -0.5 - (constant + numbers * std.ln())
            }
            Self::Fitted {
                mean,
                factor,
                half_log_det,
            } => {
                let centred = (x.flatten(1, -1) - mean).tr();
                let z = factor.linalg_solve_triangular(&centred, false, true, false);
                sum_each(&z.tr().square()) * -0.5 - (constant + half_log_det)
            }
            Self::Unfitted { .. } => unreachable!("noise is fitted before the first step"),
        }
    }

    /// The normal distribution of the training states.
    fn fitted(train: &Images, jitter: f64) -> Result<Self> {
        let n = train.len();
        if n < 2 {
            return Err(Error::input(
                "objective.nce.noise",
                format!("a covariance cannot be fitted to {n} training states"),
                "use more of the data (data.limit), or noise: {gaussian: {mean: 0, std: 1}}",
            ));
        }
        let rows = |from: i64| train.chunk(from, BATCH).flatten(1, -1).to_kind(Kind::Double);
        let starts = || (0..n).step_by(BATCH as usize);
        let sum = |of: &dyn Fn(i64) -> Tensor| starts().map(of).reduce(|a, b| a + b).expect("there are states");
        let mean = sum(&|from| rows(from).sum_dim_intlist(0, false, Kind::Double)) / n as f64;
        let products = sum(&|from| {
            let centred = rows(from) - &mean;
            centred.tr().matmul(&centred)
        });
        let covariance = products / (n - 1) as f64;
        let _ = covariance.diagonal(0, 0, 1).g_add_scalar_(jitter);
        let factor = covariance.f_linalg_cholesky(false).map_err(|_| {
            Error::input(
                "objective.nce.noise.data.jitter",
                format!("the covariance of the training states is not positive definite with {jitter}"),
                "give a larger one",
            )
        })?;
        let half_log_det = factor.diagonal(0, 0, 1).log().sum(Kind::Double).double_value(&[]);
        Ok(Self::Fitted {
            mean: mean.to_kind(Kind::Float),
            factor: factor.to_kind(Kind::Float),
            half_log_det,
        })
    }
}

impl Estimation {
    /// log p(x) - log q(x) - log ratio, `[B]`.
    fn logit(&self, energy: &Tensor, temperature: f64, x: &Tensor) -> Tensor {
        let log_p = energy / -temperature - &self.log_z;
        log_p - self.density.log(x) - (self.ratio as f64).ln()
    }
}

impl Objective for Estimation {
    fn quantities(&self) -> Vec<Quantity> {
        let all = [
            ("energy_pos", ENERGY_POS),
            (
                "energy_noise",
                "the mean energy of the noise that `nce` tells data from",
            ),
            ("log_z", "the logarithm of the normaliser that `nce` has learned"),
            ("nce_loss", "the term `nce`, before its weight"),
            (
                "nce_accuracy",
                "the share of data and of noise that `nce` tells apart, mean of both",
            ),
        ];
        all.map(|(name, meaning)| Quantity::always(name, meaning)).into()
    }

    /// Fits the noise, and lets log Z start where energies of 0 can hardly be told from noise.
    fn fit(&mut self, train: &Images) -> Result<()> {
        let _guard = no_grad_guard();
        if let Density::Unfitted { jitter } = self.density {
            self.density = Density::fitted(train, jitter)?;
        }
        let log_q = self.density.log(&train.chunk(0, BATCH)).mean(Kind::Float);
        self.log_z.copy_(&log_q.neg());
        Ok(())
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let noise = self.density.draw(inputs.of(name::DATA), self.ratio, rng);
        inputs.put(NOISE, noise);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let energies = [name::DATA, NOISE].map(|input| passes.energy(input));
        let temperature = passes.temperature();
        let pos = self.logit(&energies[0], temperature, inputs.of(name::DATA));
        let neg = self.logit(&energies[1], temperature, inputs.of(NOISE));
        let of_noise = neg.softplus().mean(Kind::Float) * self.ratio as f64;
        let value = pos.neg().softplus().mean(Kind::Float) + of_noise;
        let share = |right: Tensor| right.to_kind(Kind::Float).mean(Kind::Float);
        let accuracy = (share(pos.gt(0.0)) + share(neg.lt(0.0))) * 0.5;
        let energies = energies.map(|energy| energy.detach());
        Loss {
            parts: vec![
                ("energy_pos", energies[0].mean(Kind::Float)),
                ("energy_noise", energies[1].mean(Kind::Float)),
                ("log_z", self.log_z.detach()),
                ("nce_loss", value.detach()),
                ("nce_accuracy", accuracy),
            ],
            watched: energies.into(),
            value,
        }
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![("log_z".into(), self.log_z.shallow_clone())]
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("nce_loss")
    }
}
