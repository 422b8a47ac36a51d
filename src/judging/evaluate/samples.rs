//! The images that are compared with data: those that are there, or those that chains make.

use std::path::{Path, PathBuf};

use tch::Tensor;

use super::made::Made;
use super::subject::Subject;
use crate::data::FitRule;
use crate::data::ScoreInput;
use crate::error::{Error, Result};
use crate::sampling::ChainClasses;
use crate::sampling::Length;
use crate::sampling::captions_of;
use crate::train::{ChainStart, start_words};

/// Which images are compared with data.
#[derive(Debug, Clone)]
pub enum SampleChoice {
    /// Those of a .npy stack or a folder.
    Given(PathBuf),
    /// Those that chains make.
    Chains {
        /// How many.
        n: i64,
        /// Where the chains start.
        from: ChainStart,
        /// How long they are.
        length: Length,
        /// Whether they move by E(x,y), classes taking turns, rather than by E(x); as the run's
        /// chains do unless given.
        by_class: Option<bool>,
    },
}

/// Images that are there, or how they are made.
#[derive(Debug)]
pub enum Samples {
    /// u8 `[N,C,H,W]`, and the file or folder.
    Given(Tensor, String),
    /// Made by chains.
    Chains {
        /// How many.
        n: i64,
        /// Where the chains start.
        from: ChainStart,
        /// How long they are.
        length: Length,
        /// Whether they move by E(x,y), classes taking turns.
        by_class: bool,
        /// Where they start, in words.
        start: String,
    },
}

impl Samples {
    /// Reads the images that are there, or asks whether the run can make the others.
    ///
    /// # Errors
    /// Images that cannot be used; classes that the run does not have.
    pub fn new(choice: &SampleChoice, subject: &Subject) -> Result<Self> {
        let (n, from, length, asked) = match choice {
            SampleChoice::Given(path) => return Ok(Self::Given(read(path, subject)?, path.display().to_string())),
            SampleChoice::Chains {
                n,
                from,
                length,
                by_class,
            } => (*n, *from, *length, *by_class),
        };
        if asked == Some(true) {
            subject.classes("--by-class")?;
        }
        let e = &subject.loaded.trained.experiment;
        let by_class = asked.unwrap_or_else(|| e.chain_classes() == ChainClasses::Kept && subject.loaded.has_classes());
        Ok(Self::Chains {
            n,
            from,
            length,
            by_class,
            start: start_words(from, e, by_class),
        })
    }

    /// How many there are.
    pub fn count(&self) -> i64 {
        match self {
            Self::Given(images, _) => images.size()[0],
            Self::Chains { n, .. } => *n,
        }
    }

    /// Where they come from.
    pub fn words(&self) -> String {
        match self {
            Self::Given(_, path) => format!("from {path}"),
            Self::Chains {
                length,
                by_class,
                start,
                ..
            } => {
                let classes = if *by_class { ", by class" } else { "" };
                format!("chains of {length} from {start}{classes}")
            }
        }
    }

    /// The images u8 `[N,C,H,W]`, what their chains started from, if there were any, and a name of
    /// each image's class, if it has one.
    ///
    /// # Errors
    /// Starts that are not there, and chains that are not finite.
    pub fn make(&self, subject: &Subject) -> Result<(Tensor, Option<Tensor>, Vec<String>)> {
        let (made, captions) = match self {
            Self::Given(images, _) => return Ok((images.shallow_clone(), None, Vec::new())),
            Self::Chains {
                n,
                from,
                length,
                by_class: true,
                ..
            } => {
                let (made, asked) = subject.by_class(*n, *from, *length)?;
                let names = subject.classes("--by-class")?.names;
                (made, captions_of(&asked, &names))
            }
            Self::Chains { n, from, length, .. } => (subject.synthesised(*n, *from, *length)?, Vec::new()),
        };
        let Made { images, starts } = made;
        Ok((images, Some(starts), captions))
    }

    /// Whether chains moved, so that their starts are other images.
    pub fn moved(&self) -> bool {
        matches!(self, Self::Chains { length, .. } if length.whole() > 0)
    }
}

/// Images from a stack or a folder, u8 `[N,C,H,W]`; they must be of the model's size.
fn read(path: &Path, subject: &Subject) -> Result<Tensor> {
    let input = subject.loaded.image()?;
    let mut items = ScoreInput::new(&[path.to_path_buf()], input, FitRule::Exact);
    let mut parts = Vec::new();
    while let Some(batch) = items.next_batch(1000) {
        batch.items.into_iter().try_for_each(|(_, _, outcome)| outcome)?;
        parts.push(batch.images);
    }
    if parts.is_empty() {
        return Err(Error::file(
            path,
            "holds no image",
            "give a stack or a folder of samples",
        ));
    }
    Ok(Tensor::cat(&parts, 0).to_device(subject.loaded.device))
}
