//! The `data` section: which images, how they are held out, fitted and augmented.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::toy::Toy;

/// The `data` section of an experiment.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Which images.
    pub dataset: Dataset,
    /// The folder that holds the named data sets (`data/mnist`, ...). A relative one that does not
    /// hold the set is looked for beside the experiment file and beside the program, and in the
    /// folders above these. `--root DIR` names it as well.
    #[serde(default = "default_root")]
    pub root: PathBuf,
    /// How many of the training images are held out for validation, drawn by `split_seed`.
    #[serde(default)]
    pub validation: usize,
    /// Decides which images are held out.
    #[serde(default)]
    pub split_seed: u64,
    /// Uses only so many training images, before any is held out: drawn by `split_seed`, each class
    /// by its share.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Uses only so many labels of each class, drawn by `split_seed`; the other images count as unlabelled. null: all.
    #[serde(default)]
    pub labels_per_class: Option<usize>,
    /// Random changes made to each training batch.
    #[serde(default)]
    pub augment: Augment,
    /// The same for labelled batches; null means `augment`.
    #[serde(default)]
    pub labelled_augment: Option<Augment>,
    /// Standard deviation of the normal noise added to each batch, which the interval of the sampler's kernel then
    /// bounds, where it has one.
    #[serde(default)]
    pub noise: f64,
    /// The same for labelled batches; null means `noise`.
    #[serde(default)]
    pub labelled_noise: Option<f64>,
}

/// Where images come from.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// No images: a model that was imported can sample and score, but not be trained.
    None,
    /// 60,000 + 10,000 handwritten digits, 1x28x28.
    Mnist,
    /// 60,000 + 10,000 pictures of clothes, 1x28x28.
    FashionMnist,
    /// 50,000 + 10,000 photographs of ten classes, 3x32x32.
    Cifar10,
    /// 50,000 + 10,000 photographs of a hundred classes, 3x32x32.
    Cifar100,
    /// 73,257 + 26,032 photographs of house numbers, a digit each, 3x32x32.
    Svhn,
    /// Strokes and discs drawn by the program itself, with labels.
    Strokes(StrokesConfig),
    /// Points of a density in the plane.
    Toy(ToyConfig),
    /// A folder of image files; its sub-folders are the labels where every file lies in one.
    Folder(FolderConfig),
    /// A stack of images in NumPy's format.
    Npy(StackConfig),
    /// A stack of images in the format of MNIST.
    Idx(StackConfig),
}

impl Dataset {
    /// The rule by which pictures of another size are brought to the shape of a run that is trained
    /// on this data.
    pub fn rule(&self) -> FitRule {
        self.own_rule().unwrap_or_default()
    }

    /// The rule that the set itself names.
    pub fn own_rule(&self) -> Option<FitRule> {
        match self {
            Self::Folder(folder) => folder.fit,
            _ => None,
        }
    }

    /// The word of a set of points; none of images.
    pub fn points(&self) -> Option<&'static str> {
        matches!(self, Self::Toy(_)).then_some("toy")
    }

    /// The folder of a named set below `data.root`.
    pub fn folder(&self) -> Option<&'static str> {
        Some(match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Svhn => "svhn",
            _ => return None,
        })
    }
}

/// Images drawn by code: label 0 is a stroke, label 1 a disc.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrokesConfig {
    /// How many to draw for training.
    #[serde(default = "default_strokes")]
    pub count: usize,
    /// Height and width in pixels.
    #[serde(default = "default_strokes_size")]
    pub size: usize,
    /// Decides what is drawn.
    #[serde(default)]
    pub seed: u64,
}

/// Points in the plane, drawn by code.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToyConfig {
    /// What they are drawn from.
    pub density: Toy,
    /// How many to draw for training; a tenth as many, at least a thousand, are for testing.
    #[serde(default = "default_points")]
    pub count: usize,
    /// Decides what is drawn.
    #[serde(default)]
    pub seed: u64,
}

fn default_points() -> usize {
    50_000
}

/// Image files below a folder.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder.
    pub path: PathBuf,
    /// A second folder with the test images; without it, a tenth of `path`, drawn by `split_seed`, is the test set.
    #[serde(default)]
    pub test: Option<PathBuf>,
    /// How a picture of another size is brought to the model's. null means `crop` for the data of a
    /// run, and the rule of the run for a set that its images are told apart from.
    #[serde(default)]
    pub fit: Option<FitRule>,
}

/// How a picture of another size is brought to the model's; colours are always converted
/// (grey from colour by Rec. 601 luma, colour from grey by repetition, transparency over white, turned as the camera's
/// orientation tag says). Scaling is linear, with a kernel that widens when it shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FitRule {
    /// Cut the largest middle part of the model's proportions out, then scale it.
    #[default]
    Crop,
    /// Scale both sides, whatever becomes of the proportions.
    Stretch,
    /// Scale the longer side to fit, then fill the border with black.
    Pad,
    /// Do nothing; another size is an error.
    Exact,
}

impl std::fmt::Display for FitRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Crop => "crop",
            Self::Stretch => "stretch",
            Self::Pad => "pad",
            Self::Exact => "exact",
        })
    }
}

/// A stack of u8 images in one file: `.npy` of `[N,H,W]`, `[N,C,H,W]` or `[N,H,W,C]`, or idx of `[N,H,W]`.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
    /// The images.
    pub images: PathBuf,
    /// Their labels, integers `[N]`.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// The test images; without them, a tenth of `images`, drawn by `split_seed`, is the test set.
    #[serde(default)]
    pub test_images: Option<PathBuf>,
    /// The labels of the test images.
    #[serde(default)]
    pub test_labels: Option<PathBuf>,
}

/// Random changes made to each training batch, on the device.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Reflect-pads by so many pixels and cuts the original size out at a random place.
    #[serde(default)]
    pub pad_crop: usize,
    /// Mirrors half of the images left to right.
    #[serde(default)]
    pub flip: bool,
    /// Spreads each level over a width of its own: (u8 + U(0,1)) / 256 in [0, 1], as IGEBM does, brought to [-1, 1].
    #[serde(default)]
    pub dequantize: bool,
}

fn default_root() -> PathBuf {
    "data".into()
}

fn default_strokes() -> usize {
    2000
}

fn default_strokes_size() -> usize {
    16
}

/// Random changes to replayed chains, each image by itself (Du et al. 2021): crop, then mirror, then colours, then grey.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayAugment {
    /// Cuts a part out whose share of the area is uniform between these two, its width 3/4 to 4/3 of its height, and
    /// scales it to the whole size; null does not.
    pub resized_crop: Option<[f64; 2]>,
    /// Mirrors half of the images left to right.
    pub flip: bool,
    /// Changes the colours of four images in five.
    pub jitter: ColourJitter,
    /// With this probability an image loses its colour.
    pub grey: f64,
}

/// How far colours may change; 0 leaves one out. Saturation and hue are for images of three channels.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColourJitter {
    /// Multiplies by a factor uniform from max(0, 1 - b) to 1 + b.
    pub brightness: f64,
    /// The same, about the image's mean luma.
    pub contrast: f64,
    /// The same, about each pixel's luma.
    pub saturation: f64,
    /// Turns the hue by so much of a full turn at most, either way; up to 0.5.
    pub hue: f64,
}
