//! What lays an architecture out: where it stands in the file, and how it refuses a value.

use std::path::Path;

use super::config::Init;
use super::plan::{Op, Slot};
use crate::config::yaml;
use crate::error::{Error, Result};

/// A shape as people write it: `128x8x8`.
pub(super) fn shape_text(shape: &[i64]) -> String {
    shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}

/// Where a layer stands: in the file, and among PyTorch's names.
pub(super) struct Place {
    pub key: String,
    pub name: String,
}

impl Place {
    pub fn tensor(&self, tensor: &str) -> String {
        format!("{}.{tensor}", self.name)
    }
}

/// What a layer is found to be; the builder makes a [`Node`] of it.
pub(super) struct Found {
    pub op: Op,
    pub what: String,
    pub output: Vec<i64>,
    pub macs: u64,
}

pub(super) struct Builder<'a> {
    pub file: &'a Path,
    /// The rule for weights whose layer has none.
    pub init: Init,
    pub slots: Vec<Slot>,
    /// Layers so far, those inside of others too.
    pub layers: usize,
    /// Bytes of the tensors so far.
    pub bytes: u64,
}

impl Builder<'_> {
    pub fn fault(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) -> Error {
        yaml::config(self.file, key, what, remedy)
    }

    /// Refuses a value that is out of its range.
    pub fn ensure(&self, holds: bool, key: &str, found: impl std::fmt::Display, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(self.fault(key, format!("{found} is out of range"), format!("give {expected}")))
    }

    pub fn at_least(&self, least: i64, key: &str, value: i64) -> Result<()> {
        self.ensure(
            value >= least,
            key,
            value,
            &format!("a whole number of {least} or more"),
        )
    }

    pub fn check_rule(&self, init: Init, key: &str) -> Result<()> {
        match init {
            Init::Normal { std } => self.ensure(
                std >= 0.0 && std.is_finite(),
                &format!("{key}.normal.std"),
                std,
                "a number of 0 or more",
            ),
            Init::Orthogonal { gain } => self.ensure(
                gain.is_finite(),
                &format!("{key}.orthogonal.gain"),
                gain,
                "a finite number",
            ),
            _ => Ok(()),
        }
    }
}
