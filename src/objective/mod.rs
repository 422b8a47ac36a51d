//! What training minimises.

mod improved_cd;
mod maximum_likelihood;

pub use improved_cd::{LEAST_DISTANCE, entropy_term, kl_term};
pub use maximum_likelihood::{LossOutput, MaximumLikelihood};
