//! The `evaluate` section: what a run is measured by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Dataset;

/// Out-of-distribution tables at the end, and the quality monitor along the way.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// The sets that test images are told apart from, by energy.
    pub ood: Vec<OodSet>,
    /// Steps between two looks of the quality monitor, on validation states; the best checkpoint is kept. 0: never.
    pub every: u64,
    /// Fresh chains, and chains of the buffer, that the monitor looks at.
    pub images: usize,
    /// The measure that decides which checkpoint is the best; null means frechet where images are synthesised,
    /// energy-distance where points are, else accuracy.
    pub best: Option<Measure>,
    /// At most so many images of each set, drawn by `seed`, each class by its share; null means
    /// all.
    pub limit: Option<usize>,
}

/// What is out of distribution. A set that is drawn by code has as many images as the set it is told apart from.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OodSet {
    /// The test images of another data set, brought to the model's shape: grey and colour are
    /// converted, then another size is fitted by the rule of the run's own data, unless a folder
    /// names another rule by `fit`.
    Data(Dataset),
    /// Pixels uniform in [-1, 1].
    Uniform,
    /// Pixels N(0, 1), clamped to [-1, 1].
    Gaussian,
    /// One random level (grey) or colour an image.
    Constant,
    /// Means of two test images each.
    Interpolated,
    /// The test images turned by 90 degrees against the clock; they must be square.
    Rotated,
    /// The test images upside down.
    Flipped,
    /// The negatives of the test images, -x.
    Inverted,
    /// The test images under a Gaussian blur whose standard deviation is a sixteenth of the shorter side,
    /// a pixel at least.
    Blurred,
    /// Waves, stripes, checkers and smooth noise, each in two random colours.
    Textures,
}

impl OodSet {
    /// The data set, where it is one.
    pub fn data(&self) -> Option<&Dataset> {
        match self {
            Self::Data(dataset) => Some(dataset),
            _ => None,
        }
    }
}

/// What the quality monitor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The Frechet distance between fresh chains and validation images; low is good.
    Frechet,
    /// The energy distance between fresh chains and validation points; low is good.
    EnergyDistance,
    /// The share of validation images that are classified right.
    Accuracy,
    /// The mean AUROC between validation images and each of `ood`, or uniform noise where that is empty, by energy.
    Auroc,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            ood: Vec::new(),
            every: 0,
            images: 256,
            best: None,
            limit: None,
        }
    }
}
