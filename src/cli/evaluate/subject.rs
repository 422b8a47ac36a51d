//! The options that say what is evaluated.

use std::path::PathBuf;

use crate::cli::model::Choice;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::judging::evaluate::{Measured, Subject};
use crate::judging::sets;
use crate::run::{Listener, RunDir};

#[derive(clap::Args)]
pub struct Options {
    /// The folder of a run
    run: PathBuf,
    /// Images to measure on: the test images of a set that has its own (a named one, say), else all
    /// of a folder, a .npy or an idx stack; the run's own test images unless given
    #[arg(long, value_name = "SET")]
    data: Option<String>,
    /// At most so many images, drawn by --seed, each class by its share; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Decides every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for pictures and evaluation.json; RUN/evaluate unless given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

impl Options {
    /// Loads the network; images are loaded when a part asks for them.
    ///
    /// `change` changes the run's sampler for the chains of this evaluation.
    pub fn subject<'a>(
        &self,
        change: impl FnOnce(&mut Experiment) -> Result<()>,
        listener: &'a dyn Listener,
    ) -> Result<Subject<'a>> {
        let mut loaded = self.choice.loaded_any(&RunDir::open(&self.run)?)?;
        // Scores are of the run as it was trained: they were made ready before the sampler changes.
        change(&mut loaded.trained.experiment)?;
        let measured = Measured {
            set: self.data.as_deref().map(sets::dataset).transpose()?,
            limit: self.limit.map(|n| n as usize),
            seed: self.seed,
            out: self.out.clone(),
        };
        Ok(Subject::new(loaded, measured, listener))
    }
}
