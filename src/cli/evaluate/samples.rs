//! The options that say which images are compared with data, and these images.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tch::Tensor;

use super::subject::Subject;
use super::{features, subject::Made};
use crate::cli::chains;
use crate::data::FitRule;
use crate::data::ScoreInput;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::objective::Chains;
use crate::sampling::Length;
use crate::sampling::captions_of;
use crate::train::{ChainStart, start_words};

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
    pub reference: Reference,
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
pub enum Reference {
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
}

/// Images that are there, or how they are made.
pub enum Samples {
    /// u8 `[N,C,H,W]`, and the file or folder.
    Given(Tensor, String),
    Chains {
        n: i64,
        from: ChainStart,
        length: Length,
        by_class: bool,
        /// Where they start, in words.
        start: String,
    },
}

impl Samples {
    /// # Errors
    /// Images that cannot be used; classes that the run does not have.
    pub fn new(o: &Options, subject: &Subject) -> Result<Self> {
        if let Some(path) = &o.samples {
            return Ok(Self::Given(read(path, subject)?, path.display().to_string()));
        }
        if o.by_class == Some(true) {
            subject.classes("--by-class")?;
        }
        let e = &subject.loaded.trained.experiment;
        let by_class = o
            .by_class
            .unwrap_or_else(|| e.objective.chains == Chains::ByClass && subject.loaded.has_classes());
        let (from, length) = match o.from {
            Source::Noise => (ChainStart::Noise, o.length(subject)),
            Source::Buffer => (ChainStart::Buffer, o.chains.length(o.steps.unwrap_or(0))),
        };
        Ok(Self::Chains {
            n: o.n,
            from,
            length,
            by_class,
            start: start_words(from, &e.sampler.init, by_class),
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
    let input = subject.loaded.trained.experiment.model.input;
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
