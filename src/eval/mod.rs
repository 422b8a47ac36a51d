//! How well scores tell images of the data from others: scores, outliers, tables.

mod auroc;
mod judge;
mod ood;
pub mod outliers;
mod scores;

pub use auroc::auroc;
pub use judge::{Judge, Judged};
pub use ood::{OodRow, OodTable};
pub use scores::Score;
