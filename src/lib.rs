//! Deep energy-based models of images, trained by MCMC maximum likelihood.
pub mod buffer;
pub mod config;
pub mod data;
pub mod energy;
pub mod error;
pub mod files;
pub mod nn;
pub mod objective;
pub mod optim;
pub mod rng;
pub mod sampling;

pub use error::{Error, Result};
