//! A function of images applied to many of them, in batches.

use tch::{Kind, Tensor, no_grad_guard};

use crate::data;

/// What `f` gives for `images` `[N,C,H,W]`, N at least 1, u8 or f32 in [-1, 1], `batch` at a time, without gradients.
///
/// `f` maps f32 images `[B,C,H,W]` in [-1, 1] to `[B,...]`: logits, features, energies.
pub fn outputs(f: &dyn Fn(&Tensor) -> Tensor, images: &Tensor, batch: usize) -> Tensor {
    let _guard = no_grad_guard();
    let parts: Vec<Tensor> = images
        .split(batch.max(1) as i64, 0)
        .iter()
        .map(|x| f(&unit(x)))
        .collect();
    Tensor::cat(&parts, 0)
}

fn unit(images: &Tensor) -> Tensor {
    match images.kind() {
        Kind::Uint8 => data::to_unit(images),
        _ => images.to_kind(Kind::Float),
    }
}
