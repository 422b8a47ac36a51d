//! Arithmetic on pixels: u8 levels and f32 in [-1, 1], noise, grey and colour.

use tch::{Kind, Tensor};

use crate::rng::Stream;

/// Rec. 601 luma weights in thousandths; integers, so that every path rounds alike.
pub(super) const LUMA: [i64; 3] = [299, 587, 114];

/// u8 levels to f32 in [-1, 1]: u / 127.5 - 1, exactly -1 at 0 and 1 at 255. Points are numbers
/// already, and are copied.
pub fn to_unit(levels: &Tensor) -> Tensor {
    if levels.kind() == Kind::Float {
        return levels.copy();
    }
    let mut x = levels.to_kind(Kind::Float);
    let _ = x.g_div_scalar_(127.5);
    x.g_sub_scalar_(1.0)
}

/// f32 in [-1, 1] to the nearest of 256 levels; what lies outside is clamped. The inverse of [`to_unit`].
pub fn to_u8(x: &Tensor) -> Tensor {
    let mut y = x.g_add_scalar(1.0);
    let _ = y.g_mul_scalar_(127.5);
    y.round_().clamp_(0.0, 255.0).to_kind(Kind::Uint8)
}

/// x + std * z with z ~ N(0, I), as a new tensor; a `std` of 0 draws nothing.
pub fn add_noise(x: &Tensor, std: f64, rng: &mut Stream) -> Tensor {
    if std == 0.0 {
        return x.copy();
    }
    let mut z = rng.normal(&x.size(), x.device());
    let _ = z.g_mul_scalar_(std);
    z.g_add_(x)
}

/// u8 `[N,C,H,W]` to `channels`: grey from colour by Rec. 601 luma, rounded; colour from grey by repetition.
/// `None` where no rule leads from one to the other.
pub fn convert_channels(levels: &Tensor, channels: i64) -> Option<Tensor> {
    let (n, c, h, w) = levels.size4().ok()?;
    match (c, channels) {
        (from, to) if from == to => Some(levels.shallow_clone()),
        (1, 3) => Some(levels.expand([n, 3, h, w], false).contiguous()),
        (3, 1) => {
            let mut sum = Tensor::full([n, 1, h, w], 500, (Kind::Int, levels.device()));
            for (channel, weight) in LUMA.into_iter().enumerate() {
                let plane = levels.narrow(1, channel as i64, 1).to_kind(Kind::Int);
                let _ = sum.g_add_(&(plane * weight));
            }
            Some(sum.divide_scalar_mode_(1000, "floor").to_kind(Kind::Uint8))
        }
        _ => None,
    }
}
