//! What training minimises.

mod maximum_likelihood;

pub use maximum_likelihood::{LossOutput, MaximumLikelihood};
