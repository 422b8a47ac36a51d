//! The `sampler` section: how chains move and where they start.

use serde::{Deserialize, Serialize};

/// The Langevin chain: x' = x - step_size * grad E(x) + noise_scale * z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Steps of a training chain, K.
    pub n_steps: usize,
    /// What multiplies the gradient of the energy; 0 only with `inner`, which then moves chains alone.
    pub step_size: f64,
    /// Steps through the network's first layer alone, inside each gradient step; null has none.
    #[serde(default)]
    pub inner: Option<InnerConfig>,
    /// Standard deviation of the noise; null means sqrt(2 * step_size * temperature), where `step_size` counts the inner
    /// steps too.
    #[serde(default)]
    pub noise_scale: Option<f64>,
    /// T of the target exp(-E/T), 1 unless given; cannot be given together with `noise_scale`, which implies it.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Limits the gradient before it is applied.
    #[serde(default)]
    pub grad_clip: Option<GradClip>,
    /// The interval that `clamp` in `order` keeps pixels in.
    #[serde(default)]
    pub clamp: Option<[f64; 2]>,
    /// The parts of one step, in order; null means gradient, noise, and clamp where `clamp` is given.
    #[serde(default)]
    pub order: Option<Vec<StepPart>>,
    /// How `step_size` changes from the first to the last step of a chain.
    #[serde(default)]
    pub step_schedule: ChainSchedule,
    /// How `noise_scale` changes from the first to the last step of a chain.
    #[serde(default)]
    pub noise_schedule: ChainSchedule,
    /// In which precision the network is evaluated along the chain; the state stays f32.
    #[serde(default)]
    pub precision: Precision,
    /// How images and the network's weights lie in memory, along the chain and in training: a matter of speed alone.
    #[serde(default)]
    pub layout: Layout,
    /// At most so many chains go through the network at once, so that more of them than its activations leave memory for
    /// can run; null means all. Rounding aside, the states do not depend on it.
    #[serde(default)]
    pub chain_batch: Option<usize>,
    /// How the network computes along the chain.
    #[serde(default)]
    pub network_mode: NetworkMode,
    /// Where fresh chains start.
    #[serde(default)]
    pub init: InitialDistribution,
}

/// How the network computes along the chain; either way nothing is recorded in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// A fixed function of each image: running statistics, no dropout.
    #[default]
    Evaluation,
    /// Batch norm by the statistics of the batch of chains (JEM++), dropout active (IGEBM's large network).
    Training,
}

/// The inner steps of the proximal sampler PYLD (JEM++, Yang & Ji 2021), after the YOPO of Zhang et al. (2019).
///
/// The gradient g of the energy with respect to the first layer's output h(x) is found once where the gradient's turn
/// comes and is held fixed. After the move by `sampler.step_size`, and its clamp, each inner step is
/// x = clamp(x - step_size * clip(grad_x <h(x), g>)), with the clip of `grad_clip` and the interval of `clamp`, if given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerConfig {
    /// Inner steps in one step of the chain.
    pub steps: usize,
    /// What multiplies their gradient; it follows `step_schedule` as `sampler.step_size` does.
    pub step_size: f64,
}

/// One part of a Langevin step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPart {
    /// x -= step_size * (clipped) grad E(x), and the steps of `inner`
    Gradient,
    /// x += noise_scale * z
    Noise,
    /// x = clamp(x)
    Clamp,
}

/// A limit on the gradient of the energy with respect to x.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradClip {
    /// Each element to [-value, value].
    Value(f64),
    /// Each image's gradient to this Euclidean norm at most.
    Norm(f64),
}

/// A factor along the chain: 1 at the first step, `end` at the last.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChainSchedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// 1 + (end - 1) t
    Linear {
        /// The factor of the last step.
        end: f64,
    },
    /// end^t
    Geometric {
        /// The factor of the last step.
        end: f64,
    },
    /// end + (1 - end) (1 - t)^power
    Polynomial {
        /// The factor of the last step.
        end: f64,
        /// The exponent.
        power: f64,
    },
}

/// Arithmetic of the network along the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Whichever is found to be faster when training starts, for this network, batch and device; the choice is recorded in
    /// the resolved configuration, and a resumed run keeps it.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Eight bits of mantissa; weights and activations only.
    Bf16,
}

/// How images lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Whichever is found to be faster, as for [`Precision::Auto`].
    #[default]
    Auto,
    /// One channel after another.
    Contiguous,
    /// The channels of each pixel together.
    ChannelsLast,
}

/// Where fresh chains start, in the units of images, [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InitialDistribution {
    /// Every pixel uniform in the interval.
    Uniform(f64, f64),
    /// Every pixel normal.
    Gaussian {
        /// Mean of a pixel.
        mean: f64,
        /// Standard deviation of a pixel.
        std: f64,
    },
    /// Images of the training set.
    Data,
    /// Images of the training set with normal noise added.
    NoisyData {
        /// Standard deviation of the noise.
        std: f64,
    },
    /// A class drawn uniformly, then an image from the normal distribution N(mean, covariance + jitter I) of that class's
    /// training images, cut off at [-1, 1] (JEM++, Yang & Ji 2021); images without labels are one class.
    ClassGaussians {
        /// Added to the variance of every pixel.
        #[serde(default = "default_jitter")]
        jitter: f64,
    },
}

fn default_jitter() -> f64 {
    1e-4
}

impl InitialDistribution {
    /// Whether it is made of training images.
    pub fn needs_data(&self) -> bool {
        matches!(self, Self::Data | Self::NoisyData { .. } | Self::ClassGaussians { .. })
    }
}

impl Default for InitialDistribution {
    fn default() -> Self {
        Self::Uniform(-1.0, 1.0)
    }
}

/// Whether work that is the same each time becomes a CUDA graph; a CPU has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CudaGraph {
    /// Where it can be recorded; elsewhere a notice says why not, and every operation is launched by itself.
    #[default]
    Auto,
    /// Never.
    Off,
}
