//! The images with the highest score among many, as rows and as a picture.

use std::path::{Path, PathBuf};

use tch::Tensor;

use super::score_rows::Found;
use crate::error::Result;
use crate::report;

/// The images of the highest score so far, the highest first; of equal ones the earlier.
#[derive(Debug)]
pub struct Strangest {
    most: usize,
    /// Which of the scores decides.
    by: usize,
    kept: Vec<Kept>,
}

/// An image that is kept.
#[derive(Debug)]
pub struct Kept {
    /// The file that it came from.
    pub path: PathBuf,
    /// Its number within the file.
    pub index: usize,
    /// What was found of it.
    pub found: Found,
    /// As it was scored, u8 `[C,H,W]`.
    pixels: Tensor,
}

impl Strangest {
    /// Keeps `most` images by score number `by`.
    pub fn new(most: usize, by: usize) -> Self {
        Self {
            most,
            by,
            kept: Vec::new(),
        }
    }

    /// Keeps the image if it is among the strangest.
    pub fn offer(&mut self, (path, index): (PathBuf, usize), found: Found, pixels: &Tensor) {
        let score = found.scores[self.by];
        let place = self
            .kept
            .partition_point(|k| k.found.scores[self.by].total_cmp(&score).is_ge());
        if place >= self.most {
            return;
        }
        self.kept.truncate(self.most - 1);
        let kept = Kept {
            path,
            index,
            found,
            pixels: pixels.copy(),
        };
        self.kept.insert(place, kept);
    }

    /// The highest first.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Draws them in their order as the PNG `path`, the rank and the score beneath each; nothing
    /// where there is none.
    ///
    /// # Errors
    /// When the picture cannot be written.
    pub fn draw(&self, path: &Path) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let pixels: Vec<&Tensor> = self.kept.iter().map(|k| &k.pixels).collect();
        let images = Tensor::stack(&pixels, 0);
        let scores = self.kept.iter().map(|k| k.found.scores[self.by]);
        let captions: Vec<String> = (1..).zip(scores).map(|(rank, s)| caption(rank, s)).collect();
        report::sheet(&images, &captions, report::columns(images.size()[0]), path)
    }
}

/// A rank and a score in five digits or so.
fn caption(rank: usize, score: f64) -> String {
    match score.abs() {
        0.0 | 1e-3..1e5 => {
            let before = score.abs().max(1.0).log10() as usize;
            format!("{rank}: {score:.*}", 4_usize.saturating_sub(before))
        }
        _ => format!("{rank}: {score:.3e}"),
    }
}
