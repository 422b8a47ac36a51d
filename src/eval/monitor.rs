//! The measure by which a run in progress judges its samples.

use tch::Tensor;

use super::{Features, Moments, frechet_distance};
use crate::error::{Error, Result};

/// Images whose features are computed together.
const BATCH: usize = 250;

/// The Frechet distance between the features of `real` and of `made` images (u8 or f32 in [-1, 1], `[N,C,H,W]` each,
/// N at least 2), divided by the total variance of the real ones.
///
/// The division makes it a pure number, 0 at best, that a rescaling of features leaves as it is: a classifier in
/// training changes the scale of its own. With a few hundred images it is biased upwards, so compare it only between
/// equal numbers of images.
///
/// # Errors
/// Too few images, features that are not finite, or real ones that are all the same.
pub fn relative_frechet(features: &Features, real: &Tensor, made: &Tensor) -> Result<f64> {
    let moments = |images: &Tensor| -> Result<Moments> {
        let found = features.of(images, BATCH)?;
        let mut moments = Moments::new(found.size()[1] as usize, found.device());
        moments.add(&found)?;
        Ok(moments)
    };
    let (real, made) = (moments(real)?, moments(made)?);
    let variance = real.covariance()?.trace().f_double_value(&[])?;
    let relative = frechet_distance(&real, &made)? / variance;
    if relative.is_finite() {
        return Ok(relative);
    }
    Err(Error::failure(
        "Frechet distance",
        format!("is no finite number in units of {variance}, the variance of the real images' features"),
        "hold out validation images that differ, and a network that tells them apart",
    ))
}
