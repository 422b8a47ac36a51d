//! Refuses values that are out of their ranges, each in the same words.

use std::path::Path;

use super::yaml;
use crate::error::Result;

/// More of anything than a run can go through: 2^40.
const MOST: u64 = 1 << 40;

/// Collects what a check needs to word its error.
pub(crate) struct Checker<'a> {
    file: &'a Path,
    /// The section that keys are of; empty for the whole file.
    section: String,
}

impl<'a> Checker<'a> {
    /// Of the file that errors name.
    pub fn of(file: &'a Path) -> Self {
        Self {
            file,
            section: String::new(),
        }
    }

    /// The same for the keys of a section of this one.
    pub fn at(&self, section: &str) -> Self {
        Self {
            file: self.file,
            section: self.key(section),
        }
    }

    /// The whole path of a key.
    fn key(&self, key: &str) -> String {
        match (self.section.as_str(), key) {
            ("", key) => key.into(),
            (section, "") => section.into(),
            (section, key) => format!("{section}.{key}"),
        }
    }

    pub fn ensure(&self, holds: bool, key: &str, found: impl std::fmt::Display, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(yaml::config(
            self.file,
            self.key(key),
            format!("{found} is out of range"),
            format!("give {expected}"),
        ))
    }

    pub fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value > 0.0 && value.is_finite(), key, value, "a number above 0")
    }

    pub fn non_negative(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value >= 0.0 && value.is_finite(), key, value, "a number of 0 or more")
    }

    pub fn finite(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value.is_finite(), key, value, "a finite number")
    }

    pub fn interval(&self, key: &str, [low, high]: [f64; 2]) -> Result<()> {
        self.ensure(
            low < high && (high - low).is_finite(),
            key,
            format!("[{low}, {high}]"),
            "two finite numbers, the lower first",
        )
    }

    pub fn share(&self, key: &str, value: f64) -> Result<()> {
        self.ensure((0.0..=1.0).contains(&value), key, value, "a number from 0 to 1")
    }

    pub fn decay(&self, key: &str, value: f64) -> Result<()> {
        self.ensure((0.0..1.0).contains(&value), key, value, "a number from 0 to below 1")
    }

    pub fn at_least_one(&self, key: &str, value: u64) -> Result<()> {
        self.ensure(value >= 1, key, value, "a whole number of 1 or more")?;
        self.countable(key, value)
    }

    /// Refuses a count that sums of counts could overflow with.
    pub fn countable(&self, key: &str, value: u64) -> Result<()> {
        let expected = format!("a whole number of at most {MOST}");
        self.ensure(value <= MOST, key, value, &expected)
    }

    pub fn conflict(&self, key: &str, what: &str, remedy: &str) -> Result<()> {
        Err(yaml::config(self.file, self.key(key), what, remedy))
    }
}
