//! The section of Langevin dynamics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// x' = x - step_size * grad E(x) + noise_scale * z, without a Metropolis test (Roberts & Tweedie
/// 1996), its parts in any order.
///
/// With the noise of a temperature, the error of averages is of first order in step_size (Talay &
/// Tubaro 1990).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LangevinConfig {
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
    /// The interval that `clamp` in `order` keeps states in.
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
}

impl LangevinConfig {
    /// Plain steps of this size at temperature 1.
    pub fn plain(step_size: f64) -> Self {
        Self {
            step_size,
            inner: None,
            noise_scale: None,
            temperature: None,
            grad_clip: None,
            clamp: None,
            order: None,
            step_schedule: ChainSchedule::Constant,
            noise_schedule: ChainSchedule::Constant,
        }
    }
}

/// The inner steps of the proximal sampler PYLD (JEM++, Yang & Ji 2021), after the YOPO of Zhang et al. (2019).
///
/// The gradient g of the energy with respect to the first layer's output h(x) is found once where the gradient's turn
/// comes and is held fixed. After the move by `step_size`, and its clamp, each inner step is
/// x = clamp(x - step_size * clip(grad_x <h(x), g>)), with the clip of `grad_clip` and the interval of `clamp`, if given.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerConfig {
    /// Inner steps in one step of the chain.
    pub steps: usize,
    /// What multiplies their gradient; it follows `step_schedule` as the outer `step_size` does.
    pub step_size: f64,
}

/// One part of a Langevin step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradClip {
    /// Each element to [-value, value].
    Value(f64),
    /// Each image's gradient to this Euclidean norm at most.
    Norm(f64),
}

/// A factor along the chain: 1 at the first step, `end` at the last.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
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
