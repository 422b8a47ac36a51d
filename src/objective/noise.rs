//! The `noise` of noise-contrastive estimation: densities with their constant, given, fitted or
//! trained.

use std::path::PathBuf;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mixture::{FittedMixture, MixtureNoise};
use super::normal::{Each, Normal};
use crate::config::Checker;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::models::Density;

/// What data are told from. The nearer it is to the data, the less the estimate varies, as long as
/// the two overlap (Gutmann & Hyvarinen 2010).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
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
    /// A mixture of Gaussians that is fitted to the training states by expectation-maximisation.
    Mixture(MixtureNoise),
    /// The model of another run, a trained density in the place of noise (as the flow of Gao et al. 2020).
    Run(BaseRun),
}

/// A run whose model is normalised and can be drawn from independently: one of the kind
/// `gaussian-mixture`, without chains or with those of temperature 1.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRun {
    /// The folder of the run. What it holds is recorded, and a run that is resumed finds it unchanged
    /// or refuses to go on.
    pub path: PathBuf,
    /// The step of its checkpoint; null means the last one when training begins. Averaged weights
    /// are used where the run keeps them.
    #[serde(default)]
    pub step: Option<u64>,
}

impl Default for NceNoise {
    fn default() -> Self {
        Self::Data { jitter: 1e-3 }
    }
}

impl NceNoise {
    /// Checks its numbers; `c` stands at `noise`.
    pub(super) fn check(&self, c: &Checker) -> Result<()> {
        match self {
            Self::Gaussian { mean, std } => {
                c.finite("gaussian.mean", *mean)?;
                c.positive("gaussian.std", *std)
            }
            Self::Data { jitter } => c.positive("data.jitter", *jitter),
            Self::Mixture(mixture) => mixture.check(&c.at("mixture")),
            Self::Run(run) => match run.path.as_os_str().is_empty() {
                true => c.conflict(
                    "run.path",
                    "names no folder",
                    "give the folder of a run, such as runs/mixture",
                ),
                false => Ok(()),
            },
        }
    }

    /// The density, given what is fitted from and the model of the other run.
    pub(super) fn density(&self, train: &Images, base: Option<&Rc<dyn Density>>) -> Result<Rc<dyn Density>> {
        Ok(match self {
            Self::Gaussian { mean, std } => Rc::new(Each { mean: *mean, std: *std }),
            Self::Data { jitter } => Rc::new(Normal::fitted(train, *jitter)?),
            Self::Mixture(mixture) => Rc::new(FittedMixture::fit(train, mixture)?),
            Self::Run(run) => base.cloned().ok_or_else(|| {
                Error::input(
                    "objective.nce.noise.run",
                    format!("the model of {} was not handed over", run.path.display()),
                    "call Terms::set_base with it before the terms are fitted",
                )
            })?,
        })
    }
}
