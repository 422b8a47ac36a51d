//! How far samples are from data in the features of a network, and what such a distance may be called.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::{
    DENSITY_K, DensityCoverage, Moments, PRECISION_K, PrecisionRecall, density_coverage, frechet_distance,
    precision_recall,
};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Samples that FID is defined on (Heusel et al. 2017).
const FID_SAMPLES: usize = 50_000;
/// Features of Inception-v3 that FID is defined on.
pub const INCEPTION_FEATURES: i64 = 2048;
/// At most so many images on either side are looked at for nearest neighbours, whose cost is the square of it.
const NEIGHBOURS: i64 = 10_000;
/// So few images say nothing: a neighbour of the largest order must exist.
pub const LEAST_IMAGES: i64 = DENSITY_K as i64 + 1;

/// Samples against data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Of the Gaussians with the moments of all features.
    pub frechet_distance: f64,
    /// How many images on each side the nearest neighbours were looked for among.
    pub neighbours: i64,
    /// Precision and recall.
    #[serde(flatten)]
    pub precision_recall: PrecisionRecall,
    /// Density and coverage.
    #[serde(flatten)]
    pub density_coverage: DensityCoverage,
}

impl Quality {
    /// Compares features of samples `[M,D]` with those of data `[N,D]`.
    ///
    /// Nearest neighbours are looked for among equally many images of either side, 10,000 at most; where a side has more,
    /// a fixed draw of them, since images may come class after class.
    ///
    /// # Errors
    /// When a side has fewer images than [`LEAST_IMAGES`], or features are not finite.
    pub fn new(real: &Tensor, generated: &Tensor) -> Result<Self> {
        enough(real.size()[0], "the reference")?;
        enough(generated.size()[0], "the samples")?;
        let equal = NEIGHBOURS.min(real.size()[0]).min(generated.size()[0]);
        let (few_real, few_generated) = (some(real, equal), some(generated, equal));
        Ok(Self {
            frechet_distance: frechet_distance(&moments(real)?, &moments(generated)?)?,
            neighbours: equal,
            precision_recall: precision_recall(&few_real, &few_generated, PRECISION_K)?,
            density_coverage: density_coverage(&few_real, &few_generated, DENSITY_K)?,
        })
    }
}

/// Refuses too few images for any of the figures.
///
/// # Errors
/// Where there are fewer than [`LEAST_IMAGES`].
pub fn enough(images: i64, side: &str) -> Result<()> {
    if images >= LEAST_IMAGES {
        return Ok(());
    }
    Err(Error::input(
        format!("quality of samples, {side}"),
        format!("{images} images are too few for a Frechet distance and nearest neighbours"),
        format!("give {LEAST_IMAGES} at least, and thousands for figures that mean something"),
    ))
}

/// `n` rows, drawn the same way every time.
fn some(features: &Tensor, n: i64) -> Tensor {
    if n == features.size()[0] {
        return features.shallow_clone();
    }
    let order = Stream::new(0, "neighbours").permutation(features.size()[0], Device::Cpu);
    features.index_select(0, &order.narrow(0, 0, n).to_device(features.device()))
}

fn moments(features: &Tensor) -> Result<Moments> {
    let mut moments = Moments::new(features.size()[1] as usize, features.device());
    moments.add(features)?;
    Ok(moments)
}

/// What the distance may be called: FID only of Inception's features and of 50,000 samples or more.
pub fn frechet_name(features: &str, inception: bool, samples: usize) -> String {
    match inception && samples >= FID_SAMPLES {
        true => "FID".into(),
        false => format!("Frechet distance in the features of {features}, {samples} samples"),
    }
}
