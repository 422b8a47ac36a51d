//! Deep energy-based models of images, trained by MCMC maximum likelihood.
pub mod config;
pub mod error;
pub mod files;
pub mod optim;
pub mod nn;
pub mod rng;

pub use error::{Error, Result};
