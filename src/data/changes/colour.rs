//! Brightness, contrast, saturation and hue of each image of a batch, with the meaning that torchvision gives them.

use tch::{Device, Kind, Tensor};

use crate::data::config::ColourJitter;
use crate::data::pixels::LUMA;
use crate::rng::Stream;

/// A change of colours for each image, `[B]` each, f32; what is not there is left as it is.
///
/// Its parts are made in this order, on values in [0, 1], each cut off there before the next.
#[derive(Debug, Default)]
pub struct ColourChange {
    /// What every value is multiplied by.
    pub brightness: Option<Tensor>,
    /// What the distance from the image's mean luma is multiplied by.
    pub contrast: Option<Tensor>,
    /// What the distance from each pixel's luma is multiplied by; for three channels.
    pub saturation: Option<Tensor>,
    /// What is added to the hue, in turns; for three channels.
    pub hue: Option<Tensor>,
}

impl ColourChange {
    /// Draws a change for each of `n` images of so many channels: one draw from `rng` for each part that is asked for and
    /// that the channels allow, in their order.
    pub fn draw(jitter: &ColourJitter, channels: i64, n: i64, device: Device, rng: &mut Stream) -> Self {
        let coloured = channels == 3;
        let mut factor = |most: f64, wanted: bool| {
            (wanted && most > 0.0).then(|| rng.uniform(&[n], (1.0 - most).max(0.0), 1.0 + most, device))
        };
        let brightness = factor(jitter.brightness, true);
        let contrast = factor(jitter.contrast, true);
        let saturation = factor(jitter.saturation, coloured);
        let turn = jitter.hue;
        Self {
            brightness,
            contrast,
            saturation,
            hue: (coloured && turn > 0.0).then(|| rng.uniform(&[n], -turn, turn, device)),
        }
    }

    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        let parts = [&self.brightness, &self.contrast, &self.saturation, &self.hue];
        parts.iter().all(|p| p.is_none())
    }

    /// Images `[B,C,H,W]` in [-1, 1] with their colours changed, in the same range.
    ///
    /// # Panics
    /// If saturation or hue are to be changed and there are not three channels.
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let mut y = (x + 1.0) * 0.5;
        if let Some(factor) = &self.brightness {
            y = blend(&y, &y.zeros_like(), factor);
        }
        if let Some(factor) = &self.contrast {
            let mean = luma(&y).mean_dim([1i64, 2, 3].as_slice(), true, Kind::Float);
            y = blend(&y, &mean, factor);
        }
        if let Some(factor) = &self.saturation {
            y = blend(&y, &luma(&y), factor);
        }
        if let Some(turn) = &self.hue {
            y = turn_hue(&y, turn);
        }
        y * 2.0 - 1.0
    }
}

/// Images `[B,3,H,W]` with every channel as the luma; any other number of channels stays as it is.
pub(super) fn to_grey(x: &Tensor) -> Tensor {
    luma(x).expand_as(x)
}

/// factor * y + (1 - factor) * other, cut off at [0, 1].
fn blend(y: &Tensor, other: &Tensor, factor: &Tensor) -> Tensor {
    let factor = factor.view([-1, 1, 1, 1]);
    (other + (y - other) * factor).clamp(0.0, 1.0)
}

/// Rec. 601 luma of three channels, `[B,1,H,W]`; images of any other number are their own.
fn luma(y: &Tensor) -> Tensor {
    if y.size()[1] != 3 {
        return y.shallow_clone();
    }
    let planes = LUMA.iter().zip(0..);
    let weighted = planes.map(|(weight, channel)| y.narrow(1, channel, 1) * (*weight as f64 / 1000.0));
    weighted.reduce(|a, b| a + b).expect("three channels")
}

/// Turns the hue, in the hexcone model (HSV), of colours `[B,3,H,W]` in [0, 1].
fn turn_hue(y: &Tensor, turn: &Tensor) -> Tensor {
    let channel = |i: i64| y.narrow(1, i, 1);
    let (r, g, b) = (channel(0), channel(1), channel(2));
    let value = y.amax([1], true);
    let chroma = &value - y.amin([1], true);
    // Grey has no hue; any will do.
    let divisor = chroma.where_self(&chroma.gt(0.0), &chroma.ones_like());
    let of_red = (&g - &b) / &divisor;
    let of_green = (&b - &r) / &divisor + 2.0;
    let of_blue = (&r - &g) / &divisor + 4.0;
    let hue = of_red.where_self(
        &r.eq_tensor(&value),
        &of_green.where_self(&g.eq_tensor(&value), &of_blue),
    );
    // 5, 3, 1 for red, green, blue; counted on the device, since a copy from the host would wait for it.
    let sectors = (Tensor::arange(3, (Kind::Float, y.device())) * -2.0 + 5.0).view([1, 3, 1, 1]);
    let k = (hue + turn.view([-1, 1, 1, 1]) * 6.0 + sectors).remainder(6.0);
    let fall = k.minimum(&(4.0 - &k)).clamp(0.0, 1.0);
    (value - chroma * fall).clamp(0.0, 1.0)
}
