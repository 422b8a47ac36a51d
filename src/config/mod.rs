//! How a file that a person writes becomes a typed value: YAML, its bounds, kinds, and checks of ranges.

mod bounds;
mod checker;
mod kinds;
pub mod yaml;

pub(crate) use checker::Checker;
pub(crate) use kinds::kinds;

/// The default of a factor.
pub(crate) fn one() -> f64 {
    1.0
}
