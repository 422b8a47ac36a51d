//! Random changes made to chains before they go on: improved contrastive divergence carries them over to other images.

use tch::Tensor;

use super::colour::{ColourChange, to_grey};
use super::crop::ResizedCrop;
use crate::data::config::ReplayAugment;
use crate::rng::Stream;

/// The share of images whose colours are changed (Du et al. 2021).
const JITTERED: f64 = 0.8;

/// Images `[B,C,H,W]`, f32 in [-1, 1], each changed by itself as `changes` says, in the same range; a new tensor.
///
/// Draws from `rng`, in this order and each only where it is asked for: those of [`ResizedCrop::draw`]; which images are
/// mirrored; those of [`ColourChange::draw`] and which images they are made to; which lose their colour. Saturation, hue
/// and grey are passed over unless there are three channels. Nothing is read back to the host.
pub fn replay_augment(x: &Tensor, changes: &ReplayAugment, rng: &mut Stream) -> Tensor {
    let _guard = tch::no_grad_guard();
    let (n, channels, height, width) = x.size4().expect("images are [B,C,H,W]");
    let device = x.device();
    let mut x = x.detach().copy();
    if let Some(share) = changes.resized_crop {
        x = ResizedCrop::draw(share, n, [height, width], device, rng).apply(&x);
    }
    if changes.flip {
        x = some(&x.flip([3]), &x, 0.5, rng);
    }
    let colours = ColourChange::draw(&changes.jitter, channels, n, device, rng);
    if !colours.is_none() {
        x = some(&colours.apply(&x), &x, JITTERED, rng);
    }
    if changes.grey > 0.0 && channels == 3 {
        x = some(&to_grey(&x), &x, changes.grey, rng);
    }
    x
}

/// Each image with probability `share` from `changed`, else from `x`.
fn some(changed: &Tensor, x: &Tensor, share: f64, rng: &mut Stream) -> Tensor {
    let chosen = rng.uniform(&[x.size()[0], 1, 1, 1], 0.0, 1.0, x.device()).lt(share);
    changed.where_self(&chosen, x)
}
