//! Which images are held out, and the record of it that a run keeps.

use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::config::Dataset;
use super::hash;
use crate::error::Result;
use crate::rng::Stream;

/// What a run was trained on: enough to see whether another run saw the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// Which images, as the experiment names them.
    pub dataset: Dataset,
    /// The files that were read; empty for a set that is drawn by code.
    pub sources: Vec<SourceRecord>,
    /// Channels, height and width, or the dimension of points.
    pub shape: Vec<i64>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Training images.
    pub train: i64,
    /// Validation images.
    pub validation: i64,
    /// Test images.
    pub test: i64,
    /// What the draws were seeded by.
    pub split_seed: u64,
    /// SHA-256 of the sorted indices of the validation images (i64, lowest byte first) among the training images in use.
    pub validation_sha256: String,
    /// The same of the test images among all images, where they were drawn and have no files of their own.
    pub test_sha256: Option<String>,
    /// The same of the images that `data.limit` drew among the training images, where it applies.
    /// Records without it are of a version that took the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_sha256: Option<String>,
}

/// A file or folder that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The file or folder.
    pub path: PathBuf,
    /// What it held.
    pub digest: Digest,
}

/// What a file or folder held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Digest {
    /// A file.
    Content {
        /// SHA-256 of the bytes.
        sha256: String,
    },
    /// A folder.
    Listing {
        /// How many pictures.
        files: usize,
        /// SHA-256 of the sorted lines `PATH BYTES`, the paths relative to the folder.
        sha256: String,
        /// SHA-256 of the lines `PATH SHA256` of the pictures in use, by their bytes. Old records
        /// do not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contents: Option<String>,
    },
}

impl SourceRecord {
    pub(super) fn content(path: &Path, sha256: String) -> Self {
        Self {
            path: path.into(),
            digest: Digest::Content { sha256 },
        }
    }

    /// A folder with the pictures `files`, of which those `used` are read and hashed.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub(super) fn listing(root: &Path, files: &[PathBuf], used: &[PathBuf]) -> Result<Self> {
        let name = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).display().to_string();
        let sizes = files.iter().map(|file| {
            let bytes = std::fs::metadata(file).map_or(0, |m| m.len());
            format!("{} {bytes}", name(file))
        });
        let hashes = hash::files(used)?;
        let contents = used
            .iter()
            .zip(hashes)
            .map(|(file, hash)| format!("{} {hash}", name(file)));
        Ok(Self {
            path: root.into(),
            digest: Digest::Listing {
                files: files.len(),
                sha256: hash::lines(sizes),
                contents: Some(hash::lines(contents)),
            },
        })
    }
}

/// Indices of `0..n` in two sorted parts.
pub(super) struct Split {
    pub held: Vec<i64>,
    pub kept: Vec<i64>,
}

impl Split {
    /// Draws `held` of `n`; `name` keeps draws of different purpose apart. The same on every device.
    pub fn draw(n: i64, held: i64, seed: u64, name: &str) -> Self {
        let mut order: Vec<i64> = (0..n).collect();
        order.shuffle(&mut Stream::new(seed, name).host());
        let mut kept = order.split_off(held as usize);
        order.sort_unstable();
        kept.sort_unstable();
        Self { held: order, kept }
    }

    /// A tenth, at least one of two or more.
    pub fn tenth(n: i64, seed: u64) -> Self {
        let held = (n / 10).max(i64::from(n > 1));
        Self::draw(n, held, seed, "split-test")
    }

    pub fn sha256(&self) -> String {
        hash::indices(&self.held)
    }
}
