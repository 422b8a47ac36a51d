//! The table of how well the energy tells the data from other sets.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::auroc;
use crate::error::Result;
use crate::report;

/// One set that is out of distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OodRow {
    /// Its name.
    pub set: String,
    /// How many images it has.
    pub images: usize,
    /// The chance that one of them has more energy than an image of the data.
    pub auroc: f64,
}

/// How well the energy tells the data from other sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OodTable {
    /// The data: which images the others are told apart from.
    pub data: String,
    /// How many of them.
    pub images: usize,
    /// A row a set.
    pub rows: Vec<OodRow>,
}

impl OodTable {
    /// The table of `sets` (name, energies `[M]`) against the energies `[N]` of `data`.
    ///
    /// # Errors
    /// Where a set or the data is empty or has an energy that is not a number.
    pub fn new(data: &str, energies: &Tensor, sets: &[(String, Tensor)]) -> Result<Self> {
        let row = |(set, scores): &(String, Tensor)| {
            Ok(OodRow {
                set: set.clone(),
                images: scores.numel(),
                auroc: auroc(energies, scores)?,
            })
        };
        Ok(Self {
            data: data.into(),
            images: energies.numel(),
            rows: sets.iter().map(row).collect::<Result<_>>()?,
        })
    }

    /// The mean AUROC over the sets; none where there is no set.
    pub fn mean_auroc(&self) -> Option<f64> {
        let total: f64 = self.rows.iter().map(|r| r.auroc).sum();
        (!self.rows.is_empty()).then(|| total / self.rows.len() as f64)
    }
}

/// The table as text, a line a set.
impl std::fmt::Display for OodTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = |r: &OodRow| vec![r.set.clone(), r.images.to_string(), format!("{:.4}", r.auroc)];
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        let header = format!("against {} ({} images)", self.data, self.images);
        f.write_str(&report::table(&[header.as_str(), "images", "AUROC"], &rows))
    }
}
