//! The `compute` section: how the network computes, a matter of speed alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the network computes along chains and in scores; beside rounding, no number depends on it.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComputeConfig {
    /// In which precision the network is evaluated along the chain; the state stays f32.
    pub precision: Precision,
    /// How images and the network's weights lie in memory, along the chain and in training.
    pub layout: Layout,
    /// At most so many chains go through the network at once, so that more of them than its activations leave memory for
    /// can run; null means all. Rounding aside, the states do not depend on it.
    pub chain_batch: Option<usize>,
}

/// Arithmetic of the network along the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where it is found to be faster by a tenth at least when training starts, for this network, batch and device;
    /// the choice is recorded in the resolved configuration, and a resumed run keeps it.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Eight bits of mantissa; weights and activations only.
    Bf16,
}

/// How images lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// channels-last, unless contiguous is found to be faster by a tenth at least, as for the precision.
    #[default]
    Auto,
    /// One channel after another.
    Contiguous,
    /// The channels of each pixel together.
    ChannelsLast,
}
