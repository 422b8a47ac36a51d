//! Sets that are out of distribution: other data, images drawn by code, and test images that were changed.

mod changed;
mod noise;
mod textures;

pub use changed::{blurred, flipped, interpolated, inverted, rotated};
pub use noise::{constant_images, gaussian_noise, uniform_noise};
pub use textures::textures;

use tch::Tensor;

use crate::data::{self, Images, Wanted};
use crate::error::{Error, Result};
use crate::eval::config::OodSet;
use crate::rng::Stream;

/// What the sets are made of, and how large they are.
pub struct OutlierSource<'a> {
    /// The images that are in distribution: changed sets are made of them, drawn sets have as many.
    pub inside: &'a Images,
    /// How the images of another data set are wanted.
    pub other: Wanted<'a>,
}

impl OutlierSource<'_> {
    /// The images of a set, `[N,C,H,W]`, u8 or f32 in [-1, 1], of the shape of the images inside.
    ///
    /// Every set draws from the beginning of `rng`, so what it holds does not depend on the other sets.
    ///
    /// # Errors
    /// Another data set cannot be read, or the images inside do not allow the change.
    pub fn images(&self, set: &OodSet, rng: &Stream) -> Result<Tensor> {
        let rng = &mut rng.clone();
        let (inside, device) = (&self.inside.pixels, self.other.device);
        let [c, h, w] = self.inside.shape()[..] else {
            unreachable!("sets of outliers are of images")
        };
        let size = [self.inside.len(), c, h, w];
        Ok(match set {
            OodSet::Data(dataset) => data::test_images(dataset, &self.other)?.pixels,
            OodSet::Uniform => uniform_noise(size, device, rng),
            OodSet::Gaussian => gaussian_noise(size, device, rng),
            OodSet::Constant => constant_images(size, device, rng),
            OodSet::Textures => textures(size, device, rng),
            OodSet::Interpolated => interpolated(inside, rng).ok_or_else(|| unfit(set, "needs two images"))?,
            OodSet::Rotated => rotated(inside).ok_or_else(|| unfit(set, "needs square images"))?,
            OodSet::Flipped => flipped(inside),
            OodSet::Inverted => inverted(inside),
            OodSet::Blurred => blurred(inside),
        })
    }
}

fn unfit(set: &OodSet, what: &str) -> Error {
    Error::input(
        format!("out-of-distribution set `{}`", set_word(set)),
        what,
        "leave it out",
    )
}

/// A set as it is written on a command line and in files; another data set by its name.
pub fn set_word(set: &OodSet) -> String {
    match set {
        OodSet::Data(dataset) => data::name(dataset),
        OodSet::Uniform => "uniform".into(),
        OodSet::Gaussian => "gaussian".into(),
        OodSet::Constant => "constant".into(),
        OodSet::Interpolated => "interpolated".into(),
        OodSet::Rotated => "rotated".into(),
        OodSet::Flipped => "flipped".into(),
        OodSet::Inverted => "inverted".into(),
        OodSet::Blurred => "blurred".into(),
        OodSet::Textures => "textures".into(),
    }
}

/// A set as it is written for people.
pub fn set_name(set: &OodSet) -> String {
    match set {
        OodSet::Uniform => "uniform noise".into(),
        OodSet::Gaussian => "gaussian noise".into(),
        OodSet::Constant => "one colour".into(),
        OodSet::Rotated => "quarter turn".into(),
        OodSet::Flipped => "upside down".into(),
        other => set_word(other),
    }
}

/// The sets that are made without other data, of images of the shape `[C,H,W]`.
pub fn generated_sets([_, height, width]: [i64; 3]) -> Vec<OodSet> {
    let all = [
        OodSet::Uniform,
        OodSet::Gaussian,
        OodSet::Constant,
        OodSet::Textures,
        OodSet::Interpolated,
        OodSet::Rotated,
        OodSet::Flipped,
        OodSet::Inverted,
        OodSet::Blurred,
    ];
    let fits = |set: &OodSet| *set != OodSet::Rotated || height == width;
    all.into_iter().filter(fits).collect()
}
