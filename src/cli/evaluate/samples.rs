//! The options that say which images are compared with data.

use std::path::PathBuf;

use clap::ValueEnum;

use super::features;
use crate::cli::chains;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::judging::evaluate::{self, SampleChoice, Subject};
use crate::sampling::Length;
use crate::train::ChainStart;

#[derive(clap::Args)]
#[command(next_help_heading = "Samples")]
pub struct Options {
    /// How many images to synthesise
    #[arg(short, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub n: i64,
    /// Images that are there already, instead of synthesised ones: a .npy stack or a folder
    #[arg(long, value_name = "FILE|FOLDER",
        conflicts_with_all = ["from", "steps", "by_class", "init", "sets", "final_steps"])]
    samples: Option<PathBuf>,
    /// Where the chains start
    #[arg(long, value_enum, default_value_t = Source::Noise)]
    from: Source,
    /// Steps of the chains; report.sample_steps of the run unless given, 0 from the buffer
    #[arg(long)]
    steps: Option<usize>,
    /// Chains move by E(x,y), classes take turns, rather than by E(x); as the run's chains do
    /// unless given
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    by_class: Option<bool>,
    /// The images that samples are compared with; images of the other kind are compared with them
    /// as well
    #[arg(long, value_enum, default_value_t = Reference::Test)]
    reference: Reference,
    #[command(flatten)]
    chains: chains::Options,
    #[command(flatten)]
    pub features: features::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The distribution that fresh chains start from: sampler.init of the run, or --init
    Noise,
    /// The persistent chains of the checkpoint
    Buffer,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reference {
    Test,
    Train,
}

impl Options {
    /// Writes what the options change into the run's sampler.
    ///
    /// # Errors
    /// A key or a value that cannot be.
    pub fn apply(&self, experiment: &mut Experiment) -> Result<()> {
        self.chains.apply(experiment, self.from == Source::Noise)
    }

    /// Of fresh chains.
    pub fn length(&self, subject: &Subject) -> Length {
        let own = subject.loaded.trained.experiment.sample_steps();
        self.chains.length(self.steps.unwrap_or(own))
    }

    /// The images that the options ask for.
    pub fn choice(&self, subject: &Subject) -> SampleChoice {
        if let Some(path) = &self.samples {
            return SampleChoice::Given(path.clone());
        }
        let (from, length) = match self.from {
            Source::Noise => (ChainStart::Noise, self.length(subject)),
            Source::Buffer => (ChainStart::Buffer, self.chains.length(self.steps.unwrap_or(0))),
        };
        SampleChoice::Chains {
            n: self.n,
            from,
            length,
            by_class: self.by_class,
        }
    }

    /// The images that they are compared with.
    pub fn reference(&self) -> evaluate::Reference {
        match self.reference {
            Reference::Test => evaluate::Reference::Test,
            Reference::Train => evaluate::Reference::Train,
        }
    }
}
