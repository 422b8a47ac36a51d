//! The measure by which a run in progress judges its samples.

use tch::Tensor;

use super::{Features, Moments, frechet_distance};
use crate::error::{Error, Result};

/// Images whose features are computed together.
const BATCH: usize = 250;

/// Real images, as a network's features see them, that others are compared with.
pub struct RealImages<'a> {
    features: &'a Features,
    moments: Moments,
    variance: f64,
}

impl<'a> RealImages<'a> {
    /// Of `real` images (u8 or f32 in [-1, 1], `[N,C,H,W]`, N at least 2).
    ///
    /// # Errors
    /// Too few images, or features that are not finite.
    pub fn new(features: &'a Features, real: &Tensor) -> Result<Self> {
        let moments = moments(features, real)?;
        Ok(Self {
            features,
            variance: moments.covariance()?.trace().f_double_value(&[])?,
            moments,
        })
    }

    /// The Frechet distance to the features of `made` images (as those of [`new`](Self::new)),
    /// divided by the total variance of the real ones.
    ///
    /// The division makes it a pure number, 0 at best, that a rescaling of features leaves as it
    /// is: a classifier in training changes the scale of its own. With a few hundred images it is
    /// biased upwards, so compare it only between equal numbers of images.
    ///
    /// # Errors
    /// Too few images, or features that are not finite.
    pub fn distance(&self, made: &Tensor) -> Result<f64> {
        let made = moments(self.features, made)?;
        let relative = frechet_distance(&self.moments, &made)? / self.variance;
        if relative.is_finite() {
            return Ok(relative);
        }
        Err(Error::failure(
            "Frechet distance",
            format!(
                "is no finite number in units of {}, the variance of the real images' features",
                self.variance
            ),
            "hold out validation images that differ, and a network that tells them apart",
        ))
    }
}

fn moments(features: &Features, images: &Tensor) -> Result<Moments> {
    let found = features.of(images, BATCH)?;
    let mut moments = Moments::new(found.size()[1] as usize, found.device());
    moments.add(&found)?;
    Ok(moments)
}
