//! A random part of each image of a batch, scaled to the size of the whole.

use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// How often a part that would be wider or higher than the image is drawn anew; then the whole image is taken.
const TRIES: i64 = 10;

/// The logarithm of the most that a part may be wider than high, or higher than wide: 4/3.
const LOG_ASPECT: f64 = 0.287_682_072_451_780_9;

/// Bilinear, and beyond the edge what is at the edge.
const BILINEAR: i64 = 0;
const BORDER: i64 = 1;

/// A rectangle for each image, in shares of the image's height and width, `[B]` each, f32.
///
/// It need not begin or end on whole pixels. Interpolation at its edges looks at what lies beyond them in the image,
/// where cutting out first would repeat the last pixel.
#[derive(Debug)]
pub struct ResizedCrop {
    /// Where it begins, from above.
    pub top: Tensor,
    /// Where it begins, from the left.
    pub left: Tensor,
    /// How high it is.
    pub height: Tensor,
    /// How wide it is.
    pub width: Tensor,
}

impl ResizedCrop {
    /// Draws `n` rectangles for images of `[height, width]` pixels: the share of the area uniform in `share`, the logarithm
    /// of width over height in pixels uniform between those of 3/4 and 4/3, both anew while it does not fit, the place
    /// uniform.
    ///
    /// Three draws from `rng`: areas, aspects, places.
    pub fn draw(share: [f64; 2], n: i64, [height, width]: [i64; 2], device: Device, rng: &mut Stream) -> Self {
        let area = rng.uniform(&[TRIES, n], share[0], share[1], device);
        let aspect = rng.uniform(&[TRIES, n], -LOG_ASPECT, LOG_ASPECT, device).exp() * (height as f64 / width as f64);
        let place = rng.uniform(&[2, n], 0.0, 1.0, device);
        let (heights, widths) = ((&area / &aspect).sqrt(), (area * aspect).sqrt());
        let fits = heights.le(1.0).logical_and(&widths.le(1.0));
        let first = fits.logical_and(&fits.cumsum(0, Kind::Int64).eq(1));
        let none = fits.any_dim(0, false).logical_not().to_kind(Kind::Float);
        let of_first = |t: Tensor| (t * &first).sum_dim_intlist(0, false, Kind::Float) + &none;
        let (height, width) = (of_first(heights), of_first(widths));
        Self {
            top: place.get(0) * (1.0 - &height),
            left: place.get(1) * (1.0 - &width),
            height,
            width,
        }
    }

    /// Each image's part at the size of the whole, `[B,C,H,W]`, by bilinear interpolation between centres of pixels.
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let centre = |start: &Tensor, side: &Tensor| start * 2.0 + side - 1.0;
        let zero = self.width.zeros_like();
        let rows = [
            &self.width,
            &zero,
            &centre(&self.left, &self.width),
            &zero,
            &self.height,
            &centre(&self.top, &self.height),
        ];
        let theta = Tensor::stack(&rows, 1).view([-1, 2, 3]);
        let grid = Tensor::affine_grid_generator(&theta, x.size(), false);
        x.grid_sampler(&grid, BILINEAR, BORDER, false)
    }
}
