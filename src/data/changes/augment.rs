//! Random changes made to a batch of images: a shifted crop, a mirror image, dequantisation.

use tch::{Device, Kind, Tensor};

use crate::data::config::Augment;
use crate::data::to_unit;
use crate::rng::Stream;

/// u8 `[B,C,H,W]` to f32 in [-1, 1], randomly changed as `changes` says.
///
/// Draws from `rng`, in this order and each only where it is asked for: the rows, then the columns at which a crop
/// of the reflect-padded image begins (integers in `0..=2 pad_crop`, `[B]` each); which images are mirrored
/// (integers in `0..2`, `[B]`); where in its level's width each value lies (U(0,1), `[B,C,H,W]`).
pub fn augment(levels: &Tensor, changes: &Augment, rng: &mut Stream) -> Tensor {
    let moved = if changes.pad_crop > 0 || changes.flip {
        crop_and_flip(levels, changes, rng)
    } else {
        levels.shallow_clone()
    };
    if changes.dequantize {
        dequantize(&moved, rng)
    } else {
        to_unit(&moved)
    }
}

/// Crop and mirror as one gather: every output pixel looks up where it comes from.
fn crop_and_flip(levels: &Tensor, changes: &Augment, rng: &mut Stream) -> Tensor {
    let size = levels.size();
    let (b, c, h, w) = (size[0], size[1], size[2], size[3]);
    let device = levels.device();
    let pad = changes.pad_crop as i64;
    let mut rows = count(h, device).view([1, h]);
    let mut columns = count(w, device).view([1, w]);
    let offsets = (pad > 0).then(|| {
        let dy = rng.integers(2 * pad + 1, b, device);
        (dy, rng.integers(2 * pad + 1, b, device))
    });
    if changes.flip {
        let mirrored = rng.integers(2, b, device).view([b, 1]).to_kind(Kind::Bool);
        columns = (w - 1 - &columns).where_self(&mirrored, &columns);
    }
    if let Some((dy, dx)) = offsets {
        rows = reflect(&(rows + dy.view([b, 1]) - pad), h);
        columns = reflect(&(columns + dx.view([b, 1]) - pad), w);
    }
    levels.index(&[
        Some(count(b, device).view([b, 1, 1, 1])),
        Some(count(c, device).view([1, c, 1, 1])),
        Some(rows.view([-1, 1, h, 1])),
        Some(columns.view([-1, 1, 1, w])),
    ])
}

/// A position beyond either edge of `0..n` mirrored at the edge's pixel, which is not repeated.
fn reflect(at: &Tensor, n: i64) -> Tensor {
    n - 1 - (n - 1 - at.abs()).abs()
}

/// 2 (u + U(0,1)) / 256 - 1: a level becomes an interval of its own, so that a density exists (Theis et al. 2016).
fn dequantize(levels: &Tensor, rng: &mut Stream) -> Tensor {
    let mut x = rng.uniform(&levels.size(), 0.0, 1.0, levels.device());
    let _ = x.g_add_(levels);
    let _ = x.g_div_scalar_(128.0);
    x.g_sub_scalar_(1.0)
}

fn count(n: i64, device: Device) -> Tensor {
    Tensor::arange(n, (Kind::Int64, device))
}
