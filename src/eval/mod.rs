//! How well a model tells images from others, tells their classes, makes images like them, and withstands attacks.

mod agreement;
mod attack;
mod auroc;
mod calibration;
mod classification;
mod defence;
mod detection;
mod features;
mod frechet;
mod inception;
mod judge;
mod manifold;
mod ood;
pub mod outliers;
mod passes;
mod quality;
mod robustness;
mod scores;

pub use agreement::{Agreement, ClassAgreement};
pub use attack::{Attack, Attacked, Norm, Through, attack};
pub use auroc::auroc;
pub use calibration::{BINS, ece};
pub use classification::{Classification, Classifications};
pub use defence::Defence;
pub use detection::{Detection, Intervals, detection, threshold};
pub use features::{Features, ScriptInput};
pub use frechet::{Moments, frechet_distance};
pub use inception::{InceptionScore, inception_score};
pub use judge::{Judge, Judged};
pub use manifold::{DENSITY_K, DensityCoverage, PRECISION_K, PrecisionRecall, density_coverage, precision_recall};
pub use ood::{OodRow, OodTable};
pub use passes::outputs;
pub use quality::{INCEPTION_FEATURES, LEAST_IMAGES, Quality, enough, frechet_name};
pub use robustness::{RobustCurve, RobustPoint};
pub use scores::Score;
