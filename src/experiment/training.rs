//! The `train`, `guard` and `report` sections: how long, how often, and what ends a run.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::sampling::CudaGraph;

/// The loop.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Updates of the parameters in all; 0 where `minutes` stand in its place, until steps were
    /// timed.
    #[serde(default, deserialize_with = "zero_of_null")]
    #[schemars(with = "Option<u64>")]
    pub steps: u64,
    /// What the run may take, in minutes: its steps, pictures and looks of the quality monitor; the
    /// steps that fit are found when it begins. Null where `steps` says how many.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Images of data, and chains, a step.
    pub batch_size: usize,
    /// Labelled images a step, drawn apart from the others, where the objective uses labels; null means `batch_size`.
    #[serde(default)]
    pub labelled_batch_size: Option<usize>,
    /// In which precision the passes that are differentiated in the parameters compute.
    #[serde(default)]
    pub precision: TrainPrecision,
    /// Which passes record the running statistics of batch norm, and iterate spectral norm.
    #[serde(default)]
    pub statistics: Statistics,
    /// Whether chains and training steps are recorded on CUDA and replayed as a whole.
    #[serde(default)]
    pub cuda_graph: CudaGraph,
    /// Steps between two lines of metrics.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
    /// Steps between two checkpoints.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// How many checkpoints are kept, the best one not counted.
    #[serde(default = "default_keep")]
    pub keep: usize,
}

/// Arithmetic of the passes that train the network; parameters and their gradients are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// Single precision.
    #[default]
    F32,
    /// Single precision whose products CUDA may round to ten bits of mantissa; f32 on a CPU.
    Tf32,
    /// Layers compute with eight bits of mantissa; normalisation and losses stay f32.
    Bf16,
}

/// Which passes of training record the running statistics of batch norm, and iterate spectral norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// All, those of synthesised states among them (JEM++).
    #[default]
    All,
    /// Those of the data alone.
    Data,
}

/// When a run has diverged, and what is done about it.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Steps between two looks at the flags that accumulate on the device.
    pub every: u64,
    /// An energy beyond this is a divergence.
    pub max_abs_energy: f64,
    /// A parameter-gradient norm beyond so many times its running median is suspicious ...
    pub grad_norm_factor: f64,
    /// ... and a divergence when it is so at this many looks on end.
    pub grad_norm_patience: u32,
    /// How often the run goes back to the last good checkpoint before it gives up.
    pub max_rollbacks: u32,
    /// What the learning rate is multiplied by each time.
    pub lr_factor: f64,
}

/// Pictures and event files made along the way.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Steps between two grids of samples and renewed curves; 0 makes none along the way.
    pub every: u64,
    /// Images in a grid; the last one has 100 at least.
    pub images: usize,
    /// Steps of the chain that draws a grid from noise; null means four times `sampler.n_steps`.
    pub sample_steps: Option<usize>,
    /// TensorBoard event files.
    pub tensorboard: bool,
}

impl TrainConfig {
    /// Labelled images a step, where the objective uses labels.
    pub fn labelled_batch(&self) -> usize {
        self.labelled_batch_size.unwrap_or(self.batch_size)
    }
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            every: 10,
            max_abs_energy: 1e6,
            grad_norm_factor: 1000.0,
            grad_norm_patience: 5,
            max_rollbacks: 5,
            lr_factor: 0.5,
        }
    }
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            every: 500,
            images: 64,
            sample_steps: None,
            tensorboard: true,
        }
    }
}

fn zero_of_null<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn default_log_every() -> u64 {
    10
}

fn default_checkpoint_every() -> u64 {
    500
}

fn default_keep() -> usize {
    2
}
