//! The check of numbers that a network made.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// Stops where numbers that a network made cannot be right; `what` says what is wrong with them at
/// `place`.
///
/// # Errors
/// One of them is a NaN or infinite.
pub fn ensure_finite(numbers: &Tensor, place: &str, what: &str) -> Result<()> {
    let bad = numbers.isfinite().logical_not().sum(Kind::Int64).f_int64_value(&[])?;
    if bad == 0 {
        return Ok(());
    }
    Err(Error::failure(
        place,
        format!("{what}: {bad} of {}", numbers.numel()),
        "use another checkpoint, one of before the model diverged",
    ))
}
