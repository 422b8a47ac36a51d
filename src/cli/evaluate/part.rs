//! What each part of an evaluation gives.

use super::subject::{Figures, Subject};
use crate::error::Result;

/// What a part found: figures, and the words that are printed once all files are written.
pub type Found = (Figures, String);

/// A part whose options were found to be usable.
pub trait Measure {
    /// Measures, and writes pictures.
    fn measure(&self, subject: &Subject) -> Result<Found>;
}
