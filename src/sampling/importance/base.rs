//! Distributions that are known with their constant and drawn from exactly: where paths begin.

use tch::{Device, Tensor};

use crate::energy::{Boxed, Energy, Flat, GaussianReference};
use crate::rng::Stream;

/// The beginning of a path to a density.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Base {
    /// N(0, std^2) in each number of a state.
    Gaussian {
        /// The standard deviation.
        std: f64,
    },
    /// Uniform in an interval in each number; the density that is led to is that in the box.
    Uniform {
        /// The interval.
        interval: [f64; 2],
    },
}

impl Base {
    /// Minus the logarithm of its density, up to the constant.
    pub fn energy(&self) -> Box<dyn Energy> {
        match *self {
            Self::Gaussian { std } => Box::new(GaussianReference { std }),
            Self::Uniform { interval } => Box::new(Boxed {
                energy: &Flat,
                interval,
            }),
        }
    }

    /// The energy of what the path leads to: `energy`, cut off where the base is 0.
    pub fn target<'a>(&self, energy: &'a dyn Energy) -> Box<dyn Energy + 'a> {
        match *self {
            Self::Gaussian { .. } => Box::new(energy),
            Self::Uniform { interval } => Box::new(Boxed { energy, interval }),
        }
    }

    /// The logarithm of the integral of exp(-energy) over states of so many numbers.
    pub fn log_z(&self, numbers: i64) -> f64 {
        let each = match *self {
            Self::Gaussian { std } => 0.5 * (2.0 * std::f64::consts::PI).ln() + std.ln(),
            Self::Uniform { interval: [low, high] } => (high - low).ln(),
        };
        numbers as f64 * each
    }

    /// Exact draws of this size.
    pub fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor {
        match *self {
            Self::Gaussian { std } => rng.normal(size, device) * std,
            Self::Uniform { interval: [low, high] } => rng.uniform(size, low, high, device),
        }
    }

    /// What it is, for people.
    pub fn words(&self) -> String {
        match self {
            Self::Gaussian { std } => format!("N(0, {std}^2)"),
            Self::Uniform { interval: [low, high] } => format!("uniform in [{low}, {high}]"),
        }
    }
}
