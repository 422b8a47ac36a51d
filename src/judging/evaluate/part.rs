//! What each part of an evaluation gives, and all of them together.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::subject::{Figures, Subject};
use crate::error::{Result, shown_path};
use crate::files;

/// What a part found: figures, and the words that are printed once all files are written.
pub type Found = (Figures, String);

/// A part whose options were found to be usable.
pub trait Measure {
    /// Measures, and writes pictures.
    ///
    /// # Errors
    /// When what is measured is not finite, images cannot be read, or pictures not written.
    fn measure(&self, subject: &Subject) -> Result<Found>;
}

/// All that was found of a subject until now.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// The figures by name.
    pub figures: Figures,
    /// Tables and what they are of, as lines.
    pub words: String,
}

impl Evaluation {
    /// What is evaluated, of which nothing is found yet; makes the subject's folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(subject: &Subject) -> Result<Self> {
        files::create_parent(&Self::file(subject))?;
        Ok(Self {
            figures: subject.figures(),
            words: String::new(),
        })
    }

    /// The record of an evaluation in the subject's folder.
    pub fn file(subject: &Subject) -> PathBuf {
        subject.out.join("evaluation.json")
    }

    /// Measures a part; what was found before stays where it fails.
    ///
    /// # Errors
    /// Those of the part.
    pub fn add(&mut self, part: &dyn Measure, subject: &Subject) -> Result<()> {
        let (figures, words) = part.measure(subject)?;
        self.figures.extend(figures);
        self.words.push_str(&words);
        Ok(())
    }

    /// Writes the figures into each file, and adds its path to the words.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        let text = serde_json::to_string_pretty(&json!(self.figures)).expect("figures always serialise");
        for path in files {
            files::write_atomic(path, text.as_bytes())?;
            self.words.push_str(&format!("{}\n", shown_path(path)));
        }
        Ok(())
    }
}
