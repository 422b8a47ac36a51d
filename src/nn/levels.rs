//! The level of noise that an energy can take beside the state: E(x, sigma).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The levels sigma of noise for which a network gives an energy E(x, sigma) each: that of the data
/// smoothed by N(0, sigma^2 I), once trained.
///
/// Where no level is asked for, E(x) is E(x, low).
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// The smallest standard deviation of the noise, in the units of states.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// How the level enters the energy.
    pub form: LevelForm,
}

/// How a level enters the energy that the layers give.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LevelForm {
    /// E(x, sigma) = f(x) / sigma, where the layers f know no level (Song & Ermon 2020).
    Divided,
    /// E(x, sigma) = |x|^2 / (2 v) + f(u, a u, ln(sigma) / 4) data_std / sigma, where v = sigma^2 +
    /// data_std^2, u = x / sqrt(v) and a^2 = data_std / (2 sigma): the energy whose gradient is
    /// preconditioned as a denoiser's output is (Karras et al. 2022).
    ///
    /// The layers f get C channels of u, C of a u and one of the level, or as many numbers of a point. The
    /// square of a u alone is the curvature that noise leaves across the data.
    Input {
        /// The standard deviation of the data, in the units of states.
        data_std: f64,
    },
}

impl Levels {
    /// The interval of the levels.
    pub fn interval(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// The standard deviation of a Gaussian about as wide as exp(-E(x)), where the form bounds that.
    pub fn reach(&self) -> Option<f64> {
        match self.form {
            LevelForm::Divided => None,
            LevelForm::Input { data_std } => Some(self.low.hypot(data_std)),
        }
    }
}
