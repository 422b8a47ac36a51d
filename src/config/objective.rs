//! The `objective` section: what training minimises.

use serde::{Deserialize, Serialize};

/// Maximum likelihood: mean E(x+) - mean E(x-) + energy_reg (mean E(x+)^2 + mean E(x-)^2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Where the chains of the negative phase start.
    pub negatives: Negatives,
    /// Weight of the squared energies (Du & Mordatch 2019).
    pub energy_reg: f64,
    /// Standard deviation of the normal noise added to images of the data, which `sampler.clamp` then keeps in its interval.
    pub data_noise: f64,
}

/// Where the chains of the negative phase start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negatives {
    /// The replay buffer: persistent contrastive divergence (Tieleman 2008).
    #[default]
    Persistent,
    /// The batch of data itself: contrastive divergence, CD-k (Hinton 2002).
    Data,
    /// `sampler.init`: short-run MCMC (Nijkamp et al. 2019).
    Noise,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            negatives: Negatives::Persistent,
            energy_reg: 0.0,
            data_noise: 0.0,
        }
    }
}
