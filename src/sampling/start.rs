//! Where fresh chains start.

use tch::{Device, Tensor};

use super::config::InitialDistribution;
use super::gaussians::ClassGaussians;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::space::Space;

/// Draws starting points of chains from one distribution; what it needs of the data it holds, fitted once.
#[derive(Debug)]
pub struct Starter {
    space: Space,
    device: Device,
    from: From,
}

#[derive(Debug)]
enum From {
    Uniform(f64, f64),
    Gaussian {
        mean: f64,
        std: f64,
    },
    /// With normal noise of so much added, if any.
    Data(Images, Option<f64>),
    ClassGaussians(ClassGaussians),
}

impl Starter {
    /// For chains in `space` on `device`; `data` are the training states.
    ///
    /// # Errors
    /// When the distribution is of data and there is none, or its images have another shape; those of
    /// [`ClassGaussians::fit`].
    pub fn new(init: &InitialDistribution, space: &Space, data: Option<&Images>, device: Device) -> Result<Self> {
        let images = || images(data, &space.shape, device);
        let from = match *init {
            InitialDistribution::Uniform(low, high) => From::Uniform(low, high),
            InitialDistribution::Gaussian { mean, std } => From::Gaussian { mean, std },
            InitialDistribution::Data => From::Data(images()?, None),
            InitialDistribution::NoisyData { std } => From::Data(images()?, Some(std)),
            InitialDistribution::ClassGaussians { jitter } => {
                From::ClassGaussians(ClassGaussians::fit(&images()?, jitter)?)
            }
        };
        Ok(Self {
            space: space.clone(),
            device,
            from,
        })
    }

    /// `n` starting points, `[n,..]`, f32, in memory of their own; only class Gaussians keep to [-1, 1].
    ///
    /// `classes`, i64 `[n]`, says what each is to be of, where the distribution tells classes apart; others pass over it.
    pub fn draw(&self, n: i64, classes: Option<&Tensor>, rng: &mut Stream) -> Tensor {
        let size = self.space.batch(n);
        match &self.from {
            From::Uniform(low, high) => rng.uniform(&size, *low, *high, self.device),
            From::Gaussian { mean, std } => {
                let mut x = rng.normal(&size, self.device);
                let _ = x.g_mul_scalar_(*std);
                x.g_add_scalar_(*mean)
            }
            From::Data(images, None) => images.random(n, rng),
            From::Data(images, Some(std)) => images.random(n, rng) + rng.normal(&size, self.device) * *std,
            From::ClassGaussians(gaussians) => gaussians.sample(n, classes, rng),
        }
    }
}

/// The training images on `device`, of the right shape.
fn images(data: Option<&Images>, shape: &[i64], device: Device) -> Result<Images> {
    let data = data.filter(|d| !d.is_empty()).ok_or_else(|| {
        Error::input(
            "sampler.init",
            "chains start from images of data, and there is no data here",
            "use uniform or gaussian, or run where the data set is",
        )
    })?;
    if data.shape() == shape {
        return Ok(data.to_device(device));
    }
    Err(Error::input(
        "sampler.init",
        format!("images of shape {:?} where the model takes {shape:?}", data.shape()),
        "use data of the shape that the model takes",
    ))
}
