//! The `sampler` section: how chains move, how long they are, and where they start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kernel::Kernel;
use super::kernels::KernelConfig;
use super::warm_up::WarmUpConfig;
use crate::nn::Mode;

/// How chains move, how long they are, and where they start.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// The kernel that moves them.
    pub kernel: KernelConfig,
    /// Steps of a training chain, K.
    pub n_steps: usize,
    /// Finds the kernel's step size; null keeps the one that is given.
    #[serde(default)]
    pub warm_up: Option<WarmUpConfig>,
    /// Where chains of training start.
    #[serde(default)]
    pub start: Start,
    /// Whether a chain of training has a class.
    #[serde(default)]
    pub classes: ChainClasses,
    /// How the network computes along the chain.
    #[serde(default)]
    pub network_mode: NetworkMode,
    /// Where fresh chains start.
    #[serde(default)]
    pub init: InitialDistribution,
}

/// Where chains of training start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The replay buffer: persistent contrastive divergence (Tieleman 2008).
    #[default]
    Persistent,
    /// The batch of data itself: contrastive divergence, CD-k (Hinton 2002).
    Data,
    /// `sampler.init`: short-run MCMC (Nijkamp et al. 2019).
    Noise,
    /// Half of the chains from the batch of data, the others from `sampler.init` (Balcerak et al. 2025);
    /// of an odd number the smaller half is of data.
    Halves,
}

/// Whether a chain has a class, and so which distribution it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainClasses {
    /// It has none and follows p(x) by E(x).
    #[default]
    None,
    /// It keeps the class that it starts with and follows p(x|y) by E(x,y); the classes of a draw
    /// have the shares of the labels.
    Kept,
    /// It follows p(x,y): before each step it draws its class from p(y|x) = softmax(-E(x,y)), and
    /// the step goes by E(x,y).
    Drawn,
}

impl SamplerConfig {
    /// T of the target exp(-E/T) of its chains.
    pub fn temperature(&self) -> f64 {
        self.kernel.build(self.n_steps).facts().temperature
    }

    /// The kernel that moves the chains of training.
    pub fn kernel_of_training(&self) -> Box<dyn Kernel> {
        let kernel = self.kernel.build(self.n_steps);
        kernel.of_training(self.n_steps).unwrap_or(kernel)
    }

    /// How chains move, for people.
    pub fn words(&self) -> String {
        let kernel = self.kernel.build(self.n_steps);
        format!(
            "chain: {} steps of {}, that is temperature {:.4e}",
            self.n_steps,
            kernel.words(),
            kernel.facts().temperature
        )
    }

    /// Whether chains of training are kept in the replay buffer.
    pub fn is_persistent(&self) -> bool {
        self.start == Start::Persistent
    }
}

/// How the network computes along the chain; either way nothing is recorded in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// A fixed function of each image: running statistics, no dropout.
    #[default]
    Evaluation,
    /// Batch norm by the statistics of the batch of chains (JEM++), dropout active (IGEBM's large network).
    Training,
}

impl NetworkMode {
    /// The mode of the network's passes along a chain.
    pub fn mode(self) -> Mode {
        match self {
            Self::Evaluation => Mode::Eval,
            Self::Training => Mode::TrainFrozenStats,
        }
    }
}

/// Where fresh chains start, in the units of images, [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CudaGraph {
    /// Where it can be recorded; elsewhere a notice says why not, and every operation is launched by itself.
    #[default]
    Auto,
    /// Never.
    Off,
}
