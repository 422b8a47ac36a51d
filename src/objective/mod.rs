//! What training minimises.

pub use config::{Chains, Negatives, ObjectiveConfig, Statistics};
pub use improved_cd::{LEAST_DISTANCE, entropy_term, kl_term};
pub use joint::{JointLoss, JointObjective, Terms, cross_entropy};
mod config;
mod improved_cd;
mod joint;
mod maximum_likelihood;
pub use maximum_likelihood::{LossOutput, MaximumLikelihood};
