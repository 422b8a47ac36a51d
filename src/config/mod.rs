//! How a file that a person writes becomes a typed value: YAML, its bounds, and checks of ranges.

mod bounds;
mod checker;
pub mod yaml;

pub(crate) use checker::Checker;
