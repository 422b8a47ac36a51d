//! Images without content: noise, and single colours.

use tch::{Device, Kind, Tensor};

use crate::rng::Stream;

/// Images `[N,C,H,W]` whose pixels are f32, uniform in [-1, 1).
pub fn uniform_noise(size: [i64; 4], device: Device, rng: &mut Stream) -> Tensor {
    rng.uniform(&size, -1.0, 1.0, device)
}

/// Images `[N,C,H,W]` whose pixels are f32, N(0, 1) clamped to [-1, 1]: about a third of them lie at the ends.
pub fn gaussian_noise(size: [i64; 4], device: Device, rng: &mut Stream) -> Tensor {
    rng.normal(&size, device).clamp_(-1.0, 1.0)
}

/// Images `[N,C,H,W]` of one colour each, u8: the level of each channel is drawn from all 256.
pub fn constant_images([n, c, h, w]: [i64; 4], device: Device, rng: &mut Stream) -> Tensor {
    let levels = rng.integers(256, n * c, device).to_kind(Kind::Uint8);
    levels.view([n, c, 1, 1]).expand([n, c, h, w], false).contiguous()
}
