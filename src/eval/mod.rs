//! How well a model tells images of the data from others, tells their classes, and makes images like them.

mod auroc;
mod calibration;
mod classification;
mod detection;
mod frechet;
mod inception;
mod judge;
mod manifold;
mod ood;
pub mod outliers;
mod scores;

pub use auroc::auroc;
pub use calibration::{BINS, ece};
pub use classification::{Classification, Classifications};
pub use detection::{Detection, Intervals, detection, threshold};
pub use frechet::{Moments, frechet_distance};
pub use inception::{InceptionScore, inception_score};
pub use judge::{Judge, Judged};
pub use manifold::{DENSITY_K, DensityCoverage, PRECISION_K, PrecisionRecall, density_coverage, precision_recall};
pub use ood::{OodRow, OodTable};
pub use scores::Score;
