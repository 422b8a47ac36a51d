//! How often images that were synthesised for a class are taken for it.

use std::path::Path;

use serde_json::json;

use super::part::{Found, Measure};
use super::subject::{Figures, Subject};
use crate::error::Result;
use crate::judging::referee::{Referee, Views};
use crate::sampling::Length;
use crate::train::{ChainStart, start_words};

/// Images to synthesise by class, and who judges them.
pub struct Agreement {
    names: Vec<String>,
    judge: Option<Referee>,
    n: i64,
    length: Length,
    start: String,
}

impl Agreement {
    /// `n` images by chains of this length, seen by the network and by the run `judge`, where one
    /// is given.
    ///
    /// # Errors
    /// When the run has no classes, or the judge does not fit.
    pub fn new(judge: Option<&Path>, n: i64, length: Length, subject: &Subject) -> Result<Self> {
        let classes = subject.classes("--parts agreement")?;
        let (trained, device) = (&subject.loaded.trained, subject.loaded.device);
        Ok(Self {
            judge: judge
                .map(|run| Referee::open(run, trained, &classes, device))
                .transpose()?,
            names: classes.names,
            n,
            length,
            start: start_words(ChainStart::Noise, &trained.experiment, true),
        })
    }
}

impl Measure for Agreement {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let (made, asked) = subject.by_class(self.n, ChainStart::Noise, self.length)?;
        let views = Views::new(
            &subject.loaded.trained,
            self.judge.as_ref(),
            &made.images,
            &asked,
            &self.names,
        )?;
        let mut words = format!(
            "{} images synthesised by class, by chains of {} from {}\n",
            self.n, self.length, self.start
        );
        words += &format!("{views}\n");
        let mut figures = views.json();
        figures.insert("steps".into(), json!(self.length.steps));
        figures.insert("final_steps".into(), json!(self.length.quiet));
        figures.insert("start".into(), json!(self.start));
        Ok((Figures::from_iter([("agreement".to_owned(), json!(figures))]), words))
    }
}
