//! Architecture files: a network as a list of layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::levels::Levels;
use crate::error::{Error, Result};
use crate::space::Space;

/// A network from states to one number each, or to a number a class.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// What the network is called.
    pub name: String,
    /// The shape of a state: channels, height and width of an image, or `[D]` for points of D numbers.
    pub input: Vec<i64>,
    /// What the last layer gives.
    #[serde(default)]
    pub output: Output,
    /// What is done to images before the first layer; null leaves them in [-1, 1].
    #[serde(default)]
    pub normalize: Option<Normalize>,
    /// Standard deviation of a Gaussian reference N(0, s^2 I) that the energy is measured against (Xie et al. 2016); null has none.
    #[serde(default)]
    pub reference_std: Option<f64>,
    /// The levels of noise that the energy takes beside the state; null takes none.
    #[serde(default)]
    pub levels: Option<Levels>,
    /// How weights start, where a layer does not say.
    #[serde(default)]
    pub init: Init,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
}

impl NetworkConfig {
    /// The states that the network is a function of, with the values that their shape stands for.
    pub fn space(&self) -> Space {
        Space::of(&self.input)
    }

    /// Channels, height and width of an image.
    ///
    /// # Errors
    /// The states are no images.
    pub fn image(&self) -> Result<[i64; 3]> {
        self.space().image().ok_or_else(|| {
            Error::input(
                format!("model `{}`", self.name),
                format!(
                    "its states are of shape {:?}, and this is about images [channels, height, width]",
                    self.input
                ),
                "use it with a model of images",
            )
        })
    }
}

/// (image - mean) / std a channel, in units of images in [0, 1], as torchvision's `Normalize` has it.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// What is taken off each channel.
    pub mean: Vec<f64>,
    /// What each channel is divided by.
    pub std: Vec<f64>,
}

/// What the network's last layer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// E(x): low is likely.
    #[default]
    Energy,
    /// f(x) = -E(x): high is likely.
    NegativeEnergy,
    /// `f(x)[y]`, a number a class: `E(x,y) = -f(x)[y]` and `E(x) = -logsumexp_y f(x)[y]` (Grathwohl et al. 2020).
    Logits,
}

/// One layer. A layer without parameters to set is a word, any other a word with a mapping, such as `leaky_relu: {}`.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Two-dimensional convolution.
    Conv(Conv),
    /// Fully connected.
    Linear(Linear),
    /// max(x, 0)
    Relu,
    /// x where positive, slope * x elsewhere.
    LeakyRelu {
        /// The slope below zero.
        #[serde(default = "default_slope")]
        slope: f64,
    },
    /// x * sigmoid(x), also called swish.
    Silu,
    /// x where positive, exp(x) - 1 elsewhere.
    Elu,
    /// log(1 + exp(x))
    Softplus,
    /// x^2
    Square,
    /// Average over windows.
    AvgPool(Pool),
    /// Sum over windows.
    SumPool(Pool),
    /// Maximum over windows.
    MaxPool(Pool),
    /// Average over all positions: `[B,C,H,W]` to `[B,C]`.
    GlobalAvgPool,
    /// Sum over all positions: `[B,C,H,W]` to `[B,C]`.
    GlobalSumPool,
    /// `[B,C,H,W]` to `[B, C*H*W]`.
    Flatten,
    /// `[B, C*H*W]` to `[B,C,H,W]`.
    Unflatten(Unflatten),
    /// Sum over everything that an image has: `[B,...]` to `[B,1]`.
    SumFeatures,
    /// The pixels at a stride, with channels of zeroes added: the shortcut without parameters of He et al. 2016
    /// (option A).
    Subsample(Subsample),
    /// Each pixel several times over: `[B,C,H,W]` to `[B,C,factor H,factor W]`.
    Upsample(Upsample),
    /// branch(x) + shortcut(x), or their product.
    Residual(Residual),
    /// Layers several times over, named as if they were written out.
    Repeat(Repeat),
    /// Normalises each group of channels of each image (Wu & He 2018).
    GroupNorm {
        /// How many groups.
        groups: i64,
        /// Added to the variance.
        #[serde(default = "default_eps")]
        eps: f64,
    },
    /// Normalises each channel over the batch (Ioffe & Szegedy 2015).
    BatchNorm(Norm),
    /// Zeroes elements at random in training.
    Dropout {
        /// The share of zeroes.
        p: f64,
    },
}

/// Two-dimensional convolution.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Output channels.
    pub out: i64,
    /// Height and width of the kernel.
    pub kernel: i64,
    /// Step between positions.
    #[serde(default = "one")]
    pub stride: i64,
    /// Zeroes around the image.
    #[serde(default)]
    pub padding: i64,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Divides the weight by its largest singular value (Miyato et al. 2018).
    #[serde(default)]
    pub spectral_norm: Option<SpectralNorm>,
    /// How the weight starts; null means as the model says.
    #[serde(default)]
    pub init: Option<Init>,
}

/// Fully connected layer.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Output features.
    pub out: i64,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Divides the weight by its largest singular value.
    #[serde(default)]
    pub spectral_norm: Option<SpectralNorm>,
    /// How the weight starts; null means as the model says.
    #[serde(default)]
    pub init: Option<Init>,
}

/// Spectral normalisation by power iteration, as PyTorch's `spectral_norm` hook.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralNorm {
    /// Power iterations a training pass.
    pub iterations: i64,
    /// The least norm that is divided by in the power iteration.
    pub eps: f64,
    /// Multiplies the normalised weight by min(sigma, 1), which makes it w / max(sigma, 1), so that a weight that starts
    /// at nearly zero stays small (IGEBM).
    pub bound: bool,
}

/// A residual block.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers of the branch, named `branch.0`, `branch.1`, ...
    pub branch: Vec<Layer>,
    /// The layers of the shortcut; none is the identity, one is named `shortcut`, several `shortcut.0`, ...
    #[serde(default)]
    pub shortcut: Vec<Layer>,
    /// How the two are joined.
    #[serde(default)]
    pub join: Join,
}

/// How a branch and its shortcut are joined, number by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// branch(x) + shortcut(x) (He et al. 2016)
    #[default]
    Sum,
    /// branch(x) * shortcut(x): with `sum_features` behind it the energy is the product of x and a field.
    Product,
}

/// Layers that stand several times one after another, each time with tensors of their own.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How many times.
    pub times: usize,
    /// The layers.
    pub layers: Vec<Layer>,
}

/// Pixels and channels of a shortcut that has no parameters.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsample {
    /// Output channels, at least as many as come in. Half of the added ones stand before those that come in and half
    /// after; of an odd number the last stands after.
    pub out: i64,
    /// Step between the pixels that are taken, from the first on.
    #[serde(default = "one")]
    pub stride: i64,
}

/// The shape of an image that a row of numbers becomes.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unflatten {
    /// Channels.
    pub channels: i64,
    /// Height in pixels.
    pub height: i64,
    /// Width in pixels.
    pub width: i64,
}

/// Pixels that are repeated.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// How often along each side.
    pub factor: i64,
}

/// A pooling window; the stride is the size unless given.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Height and width of the window.
    pub size: i64,
    /// Step between windows; null means the size.
    #[serde(default)]
    pub stride: Option<i64>,
    /// Zeroes around the image.
    #[serde(default)]
    pub padding: i64,
}

/// Batch normalisation.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Norm {
    /// Added to the variance.
    pub eps: f64,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f64,
}

/// How weights start; biases of a rule other than `pytorch` start at zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Init {
    /// As PyTorch's layers do: weight and bias uniform within 1/sqrt(fan in).
    #[default]
    Pytorch,
    /// Normal with this standard deviation.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform, variance 2 / (fan in + fan out) (Glorot & Bengio 2010).
    XavierUniform,
    /// Normal, variance 2 / fan in (He et al. 2015).
    KaimingNormal,
    /// Orthogonal rows (Saxe et al. 2014).
    Orthogonal {
        /// Multiplies the matrix.
        gain: f64,
    },
}

impl Default for SpectralNorm {
    fn default() -> Self {
        Self {
            iterations: 1,
            eps: 1e-12,
            bound: false,
        }
    }
}

impl Default for Norm {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
        }
    }
}

fn default_slope() -> f64 {
    0.01
}

fn default_eps() -> f64 {
    1e-5
}

fn one() -> i64 {
    1
}

fn yes() -> bool {
    true
}
