//! Out-of-distribution detection by energy: the sets, their scores, the table.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::auroc;
use crate::data;
use crate::error::Result;
use crate::report;
use crate::rng::Stream;

/// The energies `[N]` (f32) of `images` `[N,C,H,W]`, u8 or f32 in [-1, 1], `batch` at a time, without gradients.
///
/// `energy` maps f32 images `[B,C,H,W]` in [-1, 1] to energies `[B]`.
pub fn energies(energy: &dyn Fn(&Tensor) -> Tensor, images: &Tensor, batch: usize) -> Tensor {
    let _guard = no_grad_guard();
    let count = images.size()[0];
    let mut parts = vec![Tensor::zeros([0], (Kind::Float, images.device()))];
    for from in (0..count).step_by(batch.max(1)) {
        let chunk = images.narrow(0, from, (batch.max(1) as i64).min(count - from));
        let unit = match chunk.kind() {
            Kind::Uint8 => data::to_unit(&chunk),
            _ => chunk.to_kind(Kind::Float),
        };
        parts.push(energy(&unit).to_kind(Kind::Float));
    }
    Tensor::cat(&parts, 0)
}

/// Images `[N,C,H,W]` whose pixels are f32, uniform in [-1, 1).
pub fn uniform_noise(size: [i64; 4], device: Device, rng: &mut Stream) -> Tensor {
    rng.uniform(&size, -1.0, 1.0, device)
}

/// The images `[N,C,H,W]` upside down: the order of their rows is reversed.
pub fn flipped(images: &Tensor) -> Tensor {
    images.flip([2])
}

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
