//! Where fresh chains start.

use tch::{Device, Tensor};

use crate::config::InitialDistribution;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Images that chains can start from.
pub trait ImageSource {
    /// `n` images drawn at random, `[n,C,H,W]`, f32 in [-1, 1].
    fn random(&self, n: i64, rng: &mut Stream) -> Tensor;
}

impl<F: Fn(i64, &mut Stream) -> Tensor> ImageSource for F {
    fn random(&self, n: i64, rng: &mut Stream) -> Tensor {
        self(n, rng)
    }
}

impl ImageSource for Images {
    fn random(&self, n: i64, rng: &mut Stream) -> Tensor {
        self.random(n, rng)
    }
}

/// `n` starting points of chains, `[n,C,H,W]`, f32, not clamped.
///
/// # Errors
/// When the distribution is of data and there is none, or its images have another shape.
pub fn start(
    init: &InitialDistribution,
    n: i64,
    shape: [i64; 3],
    data: Option<&dyn ImageSource>,
    device: Device,
    rng: &mut Stream,
) -> Result<Tensor> {
    let size = [n, shape[0], shape[1], shape[2]];
    match *init {
        InitialDistribution::Uniform(low, high) => Ok(rng.uniform(&size, low, high, device)),
        InitialDistribution::Gaussian { mean, std } => {
            let mut x = rng.normal(&size, device);
            let _ = x.g_mul_scalar_(std);
            Ok(x.g_add_scalar_(mean))
        }
        InitialDistribution::Data => images(data, size, rng).map(|x| x.to_device(device)),
        InitialDistribution::NoisyData { std } => {
            let x = images(data, size, rng)?.to_device(device);
            // Out of place: the source may have lent its own memory.
            Ok(x + rng.normal(&size, device) * std)
        }
    }
}

fn images(data: Option<&dyn ImageSource>, size: [i64; 4], rng: &mut Stream) -> Result<Tensor> {
    let data = data.ok_or_else(|| {
        Error::input(
            "sampler.init",
            "chains start from images of data, and there is no data here",
            "use uniform or gaussian, or run where the data set is",
        )
    })?;
    let x = data.random(size[0], rng);
    if x.size() == size {
        return Ok(x);
    }
    Err(Error::input(
        "sampler.init",
        format!("images of shape {:?} where the model takes {:?}", x.size(), size),
        "use data of the shape that the model takes",
    ))
}
