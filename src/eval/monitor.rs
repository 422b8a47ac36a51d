//! What a run in progress is judged by: distances of synthesised images from real ones, in features at hand.

use tch::{Device, Kind, Tensor};

use super::frechet::{Moments, frechet_distance};
use super::outputs;
use crate::config::{Conv, Init, Layer, Linear, ModelConfig, Output};
use crate::error::Result;
use crate::nn::{Frozen, Network};
use crate::rng::Stream;

/// Images whose features are computed together.
const BATCH: usize = 250;

/// Channels of the random network, layer by layer; each layer halves the image.
const CHANNELS: [i64; 3] = [32, 64, 64];

/// A fixed random network for images of a shape: features that no run has a part in, the same in every run.
///
/// Three 3x3 convolutions of stride 2 with orthogonal weights and SiLU, averaged over all positions: 64 features.
/// Random features tell distributions apart (Rahimi & Recht 2007), if less like a person than learned ones.
///
/// # Errors
/// LibTorch's.
pub fn random_features(input: [i64; 3], device: Device) -> Result<Frozen> {
    let conv = |out| {
        Layer::Conv(Conv {
            out,
            kernel: 3,
            stride: 2,
            padding: 1,
            bias: true,
            spectral_norm: None,
            init: None,
        })
    };
    let mut layers: Vec<Layer> = CHANNELS.into_iter().flat_map(|out| [conv(out), Layer::Silu]).collect();
    let last = Linear {
        out: 1,
        bias: true,
        spectral_norm: None,
        init: None,
    };
    layers.extend([Layer::GlobalAvgPool, Layer::Linear(last)]);
    let model = ModelConfig {
        name: "random features".into(),
        input,
        output: Output::Energy,
        normalize: None,
        reference_std: None,
        init: Init::Orthogonal { gain: 2.0 },
        layers,
    };
    Ok(Network::new(&model, device, &mut Stream::new(0, "random features"))?.frozen(Kind::Float))
}

/// The Frechet distance between the features of `real` and of `made` images (u8 or f32 in [-1, 1], `[N,C,H,W]` each,
/// N at least 2), divided by the total variance of the real ones.
///
/// The division makes it a pure number, 0 at best, that a rescaling of features leaves as it is: a classifier in
/// training changes the scale of its own. With a few hundred images it is biased upwards, so compare it only between
/// equal numbers of images.
///
/// # Errors
/// Too few images, or features that are not finite.
pub fn relative_frechet(features: &Frozen, real: &Tensor, made: &Tensor) -> Result<f64> {
    let moments = |images: &Tensor| -> Result<Moments> {
        let found = outputs(&|x| features.features(x), images, BATCH);
        let mut moments = Moments::new(found.size()[1] as usize, found.device());
        moments.add(&found)?;
        Ok(moments)
    };
    let (real, made) = (moments(real)?, moments(made)?);
    let variance = real.covariance()?.trace().f_double_value(&[])?;
    Ok(frechet_distance(&real, &made)? / variance)
}
