//! What is done to images before the first layer: (image - mean) / std a channel.

use tch::{Device, Kind, Tensor};

use super::builder::Builder;
use super::config::{NetworkConfig, Normalize};
use crate::error::Result;

/// x * scale + shift a channel, or nothing.
#[derive(Debug)]
pub(super) struct Normalizer(Option<[Tensor; 2]>);

impl Normalizer {
    pub fn new(model: &NetworkConfig, device: Device) -> Self {
        let column = |values: Vec<f32>| Tensor::from_slice(&values).view([1, -1, 1, 1]).to_device(device);
        Self(model.normalize.as_ref().map(|Normalize { mean, std }| {
            // An image x in [-1, 1] is (x + 1) / 2 in [0, 1].
            let scale = std.iter().map(|s| (0.5 / s) as f32);
            let shift = mean.iter().zip(std).map(|(m, s)| ((0.5 - m) / s) as f32);
            [column(scale.collect()), column(shift.collect())]
        }))
    }

    /// Scale and shift, or nothing.
    pub fn tensors(&self) -> &[Tensor] {
        self.0.as_ref().map_or(&[], |pair| pair)
    }

    /// Images `[B,C,H,W]`, f32 in [-1, 1], as the first layer gets them; computed in f32, given in `kind`.
    pub fn apply(&self, x: &Tensor, kind: Kind) -> Tensor {
        match &self.0 {
            Some([scale, shift]) => shift.addcmul(x, scale).to_kind(kind),
            None => x.to_kind(kind),
        }
    }

    /// The gradient in the images from that in what the first layer gets, f32; takes its place in memory.
    pub fn pull_back(&self, mut grad: Tensor) -> Tensor {
        match &self.0 {
            Some([scale, _]) => grad.g_mul_(scale),
            None => grad,
        }
    }
}

impl Builder<'_> {
    pub(super) fn check_normalize(&self, model: &NetworkConfig) -> Result<()> {
        let Some(Normalize { mean, std }) = &model.normalize else {
            return Ok(());
        };
        self.ensure(
            model.input.len() == 3,
            "normalize",
            "a normalisation of channels, of states that are points,",
            "none, or an architecture for images",
        )?;
        let channels = model.input[0];
        for (key, values) in [("normalize.mean", mean), ("normalize.std", std)] {
            self.ensure(
                values.len() as i64 == channels,
                key,
                format!("{values:?}"),
                &format!("{channels} numbers, one a channel"),
            )?;
        }
        self.ensure(
            mean.iter().all(|m| m.is_finite()),
            "normalize.mean",
            format!("{mean:?}"),
            "finite numbers",
        )?;
        self.ensure(
            std.iter().all(|s| *s > 0.0 && s.is_finite()),
            "normalize.std",
            format!("{std:?}"),
            "numbers above 0",
        )
    }
}
