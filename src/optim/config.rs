//! The `optimizer` section: the rule, the learning rate over time, gradient clipping, the moving average.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How parameters follow their gradient.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The rule.
    pub algorithm: Algorithm,
    /// The learning rate after warm-up.
    pub lr: f64,
    /// Decay of weights: added to the gradient (Adam, SGD) or applied to the weights (AdamW).
    #[serde(default)]
    pub weight_decay: f64,
    /// The learning rate grows linearly from lr / warmup to lr over so many steps.
    #[serde(default)]
    pub warmup: u64,
    /// The learning rate after warm-up.
    #[serde(default)]
    pub schedule: LrSchedule,
    /// Limits the gradient of the parameters.
    #[serde(default)]
    pub grad_clip: Option<ParamClip>,
    /// Decay of the exponential moving average of the weights; null keeps none. It is smaller at
    /// first: min(ema, (1 + n) / (10 + n)) after n updates.
    #[serde(default)]
    pub ema: Option<f64>,
    /// Takes the gradient where the loss is near its worst close by, instead of here; null does not.
    #[serde(default)]
    pub sam: Option<SamConfig>,
}

/// Sharpness-aware minimisation (Foret et al. 2021): the gradient of a step is that at w + e, where e climbs.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamConfig {
    /// How far e climbs: the Euclidean norm of e over all parameters, or of e / |w| if adaptive.
    pub rho: f64,
    /// Measures e against the size of each weight, so that scaling a layer changes nothing (Kwon et al. 2021).
    #[serde(default)]
    pub adaptive: bool,
}

/// The rule of an optimiser.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Algorithm {
    /// Adam (Kingma & Ba 2015).
    Adam {
        /// Decay of the two moments.
        #[serde(default = "default_betas")]
        betas: [f64; 2],
        /// Added to the root of the second moment.
        #[serde(default = "default_eps")]
        eps: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    AdamW {
        /// Decay of the two moments.
        #[serde(default = "default_betas")]
        betas: [f64; 2],
        /// Added to the root of the second moment.
        #[serde(default = "default_eps")]
        eps: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// How much of the last update is kept.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's look-ahead.
        #[serde(default)]
        nesterov: bool,
    },
}

/// The learning rate after warm-up, as a factor of `lr`.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LrSchedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// Multiplied by `gamma` at each milestone (a step).
    Step {
        /// Steps of the run, counted from 0, from which on the factor is changed.
        milestones: Vec<u64>,
        /// The change.
        gamma: f64,
    },
    /// gamma^(step / every), in whole numbers of `every`, counted from the end of the warm-up.
    Exponential {
        /// The change.
        gamma: f64,
        /// Steps between two changes.
        #[serde(default = "one")]
        every: u64,
    },
    /// Half a cosine from 1 to `end`, from the end of the warm-up to that of the run (`train.steps`).
    Cosine {
        /// The factor at the end.
        #[serde(default)]
        end: f64,
    },
}

/// A limit on the gradient of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ParamClip {
    /// The Euclidean norm over all parameters.
    Norm(f64),
    /// Each element.
    Value(f64),
    /// Each element to k * sqrt(second moment of Adam, bias-corrected) + floor, as IGEBM does.
    Moment {
        /// Multiple of the root of the second moment.
        k: f64,
        /// Added to it.
        floor: f64,
    },
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_eps() -> f64 {
    1e-8
}

fn one() -> u64 {
    1
}
