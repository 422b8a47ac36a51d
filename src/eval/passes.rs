//! A function of images applied to many of them, in batches.

use tch::{Kind, Tensor, no_grad_guard};

use crate::data;
use crate::energy::ensure_finite;
use crate::error::Result;

/// What `f` gives for `images` `[N,C,H,W]`, N at least 1, u8 or f32 in [-1, 1], `batch` at a time, without gradients.
///
/// `f` maps f32 images `[B,C,H,W]` in [-1, 1] to `[B,...]`: logits, features.
///
/// # Errors
/// Those of `f`, and a number that is not finite.
pub fn outputs(f: &dyn Fn(&Tensor) -> Result<Tensor>, images: &Tensor, batch: usize) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let batches = images.split(batch.max(1) as i64, 0);
    let parts = batches.iter().map(|x| f(&unit(x))).collect::<Result<Vec<_>>>()?;
    let all = Tensor::cat(&parts, 0);
    ensure_finite(&all, "network", "gives numbers that are not finite")?;
    Ok(all)
}

fn unit(images: &Tensor) -> Tensor {
    match images.kind() {
        Kind::Uint8 => data::to_unit(images),
        _ => images.to_kind(Kind::Float),
    }
}
