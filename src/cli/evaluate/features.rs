//! The options that say in which features samples are compared with data, and the networks that they name.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::eval::{Features, INCEPTION_FEATURES, ScriptInput};
use crate::train::{self, RunDir, Weights, Which};

#[derive(clap::Args)]
#[command(next_help_heading = "Features")]
pub struct Options {
    /// The network whose features images are compared in: own (this run's classifier), random (a
    /// fixed network that was never trained), the folder of another run, or a TorchScript file; own
    /// for a classifier's run, else random. A TorchScript file is a program: one whose code reads
    /// or writes files, prints, or talks to other processes is refused
    #[arg(long, value_name = "NETWORK")]
    features: Option<String>,
    /// The images that TorchScript files take: channels x height x width, such as 3x299x299 (grey is repeated to colour,
    /// sizes are changed by antialiased bilinear interpolation); 3 channels of the run's size unless given
    #[arg(long, value_name = "CxHxW")]
    feature_input: Option<Size>,
    /// Run the code of TorchScript files without looking through it first: such a file is a
    /// program, and could then read and write any file of yours. Only for files that you trust as
    /// you would trust a program
    #[arg(long)]
    trust_features: bool,
    /// What black and white are in these images
    #[arg(long, value_name = "LOW,HIGH", default_value = "-1,1", allow_hyphen_values = true)]
    feature_range: Range,
    /// The TorchScript file of --features is the Inception-v3 of FID: it gives its 2048 features
    #[arg(long, requires = "features")]
    inception: bool,
    /// A TorchScript file that gives class probabilities, for an Inception-style score; a classifier's own unless given
    #[arg(long, value_name = "FILE")]
    class_probabilities: Option<PathBuf>,
}

/// Channels, height and width, as `3x299x299`.
#[derive(Debug, Clone, Copy)]
struct Size([i64; 3]);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers: Option<Vec<i64>> = text.split('x').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[c @ (1 | 3), h @ 1..=4096, w @ 1..=4096]) => Ok(Self([c, h, w])),
            _ => Err("expected 1 or 3 channels, height and width, such as 3x299x299".into()),
        }
    }
}

/// Two numbers, the lower first.
#[derive(Debug, Clone, Copy)]
struct Range([f64; 2]);

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[low, high]) if low < high && (high - low).is_finite() => Ok(Self([low, high])),
            _ => Err("expected two numbers, the lower first, such as 0,1".into()),
        }
    }
}

/// The networks that samples are looked at with.
pub struct Networks {
    /// Gives features.
    pub features: Features,
    /// Gives class probabilities, where it is another than the first.
    pub classes: Option<Features>,
    /// Whether the features are said to be those of FID.
    pub inception: bool,
}

impl Options {
    /// Loads what the options name.
    ///
    /// # Errors
    /// A network that is not there, cannot be read, or takes other images.
    pub fn load(&self, subject: &Subject) -> Result<Networks> {
        let device = subject.loaded.device;
        let script = |path: &Path| Features::script(path, self.script_input(), self.trust_features, device);
        let features = match self.features.as_deref() {
            Some("own") => own(subject)?,
            Some("random") => random(subject)?,
            Some(path) if Path::new(path).is_dir() => of_run(Path::new(path), subject)?,
            Some(path) => script(Path::new(path))?,
            None if subject.loaded.has_classes() => own(subject)?,
            None => random(subject)?,
        };
        let is_script = |f: &str| !["own", "random"].contains(&f) && !Path::new(f).is_dir();
        if self.inception && !self.features.as_deref().is_some_and(is_script) {
            return Err(Error::input(
                "--inception",
                "is said of a TorchScript file, and --features names none",
                "give the file of Inception-v3 by --features FILE.pt, or leave --inception out",
            ));
        }
        Ok(Networks {
            features,
            classes: self.class_probabilities.as_deref().map(script).transpose()?,
            inception: self.inception,
        })
    }

    fn script_input(&self) -> ScriptInput {
        ScriptInput {
            channels: self.feature_input.map_or(3, |s| s.0[0]),
            size: self.feature_input.map(|s| [s.0[1], s.0[2]]),
            range: self.feature_range.0,
        }
    }
}

impl Networks {
    /// Refuses features that cannot be Inception's, where they are said to be.
    ///
    /// # Errors
    /// When there are not 2048 of them.
    pub fn ensure_inception(&self, count: i64) -> Result<()> {
        if !self.inception || count == INCEPTION_FEATURES {
            return Ok(());
        }
        Err(Error::input(
            &self.features.name,
            format!("gives {count} features, the Inception-v3 of FID {INCEPTION_FEATURES}"),
            "leave --inception out, or give the network of FID (its last pooling layer)",
        ))
    }
}

fn own(subject: &Subject) -> Result<Features> {
    let run = subject.run.path().display();
    Features::of_network(&subject.loaded.trained.network, format!("the run's own network, {run}"))
}

fn random(subject: &Subject) -> Result<Features> {
    Features::random(subject.loaded.trained.experiment.model.input, subject.loaded.device)
}

fn of_run(path: &Path, subject: &Subject) -> Result<Features> {
    let run = RunDir::open(path)?;
    let other = train::load(&run, Which::Last, Weights::Ema, subject.loaded.device)?;
    let (input, wanted) = (
        other.experiment.model.input,
        subject.loaded.trained.experiment.model.input,
    );
    if input != wanted {
        return Err(Error::file(
            path,
            format!("looks at images of {input:?} (channels, height, width), these are {wanted:?}"),
            "give --features a run of the same images",
        ));
    }
    Features::of_network(
        &other.network,
        format!("the run {}, step {}", path.display(), other.step),
    )
}
