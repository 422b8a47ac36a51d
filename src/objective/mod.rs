//! What training minimises.

mod joint;
mod maximum_likelihood;

pub use joint::{JointLoss, JointObjective, Terms, cross_entropy};
pub use maximum_likelihood::{LossOutput, MaximumLikelihood};
