//! Test images that were changed so that they are no longer of the data.

use tch::{Kind, Tensor};

use crate::data;
use crate::rng::Stream;

/// Images that are changed at once, which bounds the memory for it.
const BLOCK: i64 = 1024;

/// A blur's standard deviation is this share of the shorter side, 2 pixels of 32; at least a pixel.
const BLUR: f64 = 1.0 / 16.0;

/// The means of pairs, (x_i + x_j) / 2, as f32 `[N,C,H,W]` in [-1, 1], of u8 images (Grathwohl et al. 2020's `interp`).
///
/// Each image is in two pairs, each time with another one; none of fewer than two images.
pub fn interpolated(images: &Tensor, rng: &mut Stream) -> Option<Tensor> {
    let count = images.size()[0];
    if count < 2 {
        return None;
    }
    let order = rng.permutation(count, images.device());
    let (first, second) = (
        images.index_select(0, &order),
        images.index_select(0, &order.roll(1, 0)),
    );
    Some((data::to_unit(&first) + data::to_unit(&second)) / 2.0)
}

/// Square images `[N,C,H,H]` turned by 90 degrees against the clock; none where they are not square.
pub fn rotated(images: &Tensor) -> Option<Tensor> {
    let size = images.size();
    (size[2] == size[3]).then(|| images.rot90(1, [2, 3]).contiguous())
}

/// The images `[N,C,H,W]` upside down: the order of their rows is reversed.
pub fn flipped(images: &Tensor) -> Tensor {
    images.flip([2])
}

/// The negatives of u8 images: -x in [-1, 1], 255 - u in levels.
pub fn inverted(images: &Tensor) -> Tensor {
    images.bitwise_not()
}

/// u8 images `[N,C,H,W]` blurred by a Gaussian of a sixteenth of the shorter side (a pixel at least), mirrored at the border.
pub fn blurred(images: &Tensor) -> Tensor {
    let size = images.size();
    let weights = gaussian(size[2].min(size[3])).to_device(images.device());
    let radius = (weights.size()[0] - 1) / 2;
    let (column, row) = (weights.view([1, 1, -1, 1]), weights.view([1, 1, 1, -1]));
    let blocks = images.split(BLOCK, 0).into_iter().map(|block| {
        // Each channel by itself.
        let planes = block.reshape([-1, 1, size[2], size[3]]).to_kind(Kind::Float);
        let padded = planes.reflection_pad2d([radius; 4]);
        let across = padded.conv2d(&row, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
        let both = across.conv2d(&column, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
        both.round().clamp(0.0, 255.0).to_kind(Kind::Uint8).view_as(&block)
    });
    Tensor::cat(&blocks.collect::<Vec<_>>(), 0)
}

/// Weights of a Gaussian out to three standard deviations (never so far that an image of `side` is too small), sum 1.
fn gaussian(side: i64) -> Tensor {
    let std = (side as f64 * BLUR).max(1.0);
    let radius = ((3.0 * std).ceil() as i64).min(side - 1);
    let weights: Vec<f64> = (-radius..=radius)
        .map(|i| (-0.5 * (i as f64 / std).powi(2)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    Tensor::from_slice(&weights.iter().map(|w| (w / total) as f32).collect::<Vec<_>>())
}
