//! What a trained run is worth, in figures that say how they were measured.

mod agreement;
mod classification;
mod features;
mod likelihood;
mod made;
mod part;
mod quality;
mod robustness;
mod samples;
mod subject;

pub use agreement::Agreement;
pub use classification::Classified;
pub use features::{FeatureChoice, Networks};
pub use likelihood::{Likelihood, LikelihoodChoice};
pub use made::Made;
pub use part::{Evaluation, Found, Measure};
pub use quality::{Quality, Reference};
pub use robustness::{Guarded, Radius, Robustness, radii};
pub use samples::{SampleChoice, Samples};
pub use subject::{Figures, Measured, Subject};
