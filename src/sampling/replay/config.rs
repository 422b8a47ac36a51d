//! The `buffer` section: how chains are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::ReplayAugment;

/// The persistent replay buffer.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BufferConfig {
    /// How many chains it holds.
    pub size: usize,
    /// With this probability a drawn chain starts afresh from `sampler.init`.
    pub reinit_prob: f64,
    /// How chains are stored.
    pub storage: Storage,
    /// Where finished chains go.
    pub replacement: Replacement,
    /// Random changes made to chains that go on from the buffer, before they run; null makes none.
    pub augment: Option<ReplayAugment>,
}

/// How chains are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// As they are.
    F32,
    /// A quarter of the memory: rounded at random to 256 levels of [-1, 1] (the mean is kept). It needs steps that end
    /// there, such as those of `langevin` with `clamp: [-1, 1]` as their last part.
    U8,
}

/// Where finished chains go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// Into the slots they were drawn from.
    InPlace,
    /// Into random slots, with the probability of reservoir sampling over all chains so far.
    Reservoir,
}

impl Default for BufferConfig {
    fn default() -> Self {
        Self {
            size: 10_000,
            reinit_prob: 0.05,
            storage: Storage::F32,
            replacement: Replacement::InPlace,
            augment: None,
        }
    }
}
