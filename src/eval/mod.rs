//! How well the energy tells images of the data from others.

mod auroc;
mod detection;
mod ood;

pub use auroc::auroc;
pub use detection::{Detection, Intervals, detection, threshold};
pub use ood::{OodRow, OodTable, energies, flipped, uniform_noise};
