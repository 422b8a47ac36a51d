//! The networks in whose features samples are compared with data.

use std::path::{Path, PathBuf};

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::eval::{Features, INCEPTION_FEATURES, ScriptInput};
use crate::run::{self, RunDir, Weights, Which};

/// Which networks are looked with.
#[derive(Debug, Clone)]
pub struct FeatureChoice {
    /// `own` (the run's classifier), `random` (a fixed network that was never trained), the folder
    /// of another run, or a TorchScript file; `own` for a classifier's run, else `random`.
    pub network: Option<String>,
    /// The images that TorchScript files take.
    pub input: ScriptInput,
    /// Whether the code of TorchScript files runs without being looked through.
    pub trust: bool,
    /// Whether the TorchScript file is the Inception-v3 of FID.
    pub inception: bool,
    /// A TorchScript file that gives class probabilities; a classifier's own unless given.
    pub class_probabilities: Option<PathBuf>,
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

impl FeatureChoice {
    /// Loads what is named.
    ///
    /// # Errors
    /// A network that is not there, cannot be read, or takes other images.
    pub fn load(&self, subject: &Subject) -> Result<Networks> {
        let device = subject.loaded.device;
        let script = |path: &Path| Features::script(path, self.input, self.trust, device);
        let features = match self.network.as_deref() {
            Some("own") => own(subject)?,
            Some("random") => random(subject)?,
            Some(path) if Path::new(path).is_dir() => of_run(Path::new(path), subject)?,
            Some(path) => script(Path::new(path))?,
            None if subject.loaded.has_classes() => own(subject)?,
            None => random(subject)?,
        };
        let is_script = |f: &str| !["own", "random"].contains(&f) && !Path::new(f).is_dir();
        if self.inception && !self.network.as_deref().is_some_and(is_script) {
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
    Features::of_network(
        subject.loaded.trained.network()?,
        format!("the run's own network, {run}"),
    )
}

fn random(subject: &Subject) -> Result<Features> {
    Features::random(subject.loaded.image()?, subject.loaded.device)
}

fn of_run(path: &Path, subject: &Subject) -> Result<Features> {
    let run = RunDir::open(path)?;
    let other = run::load(&run, Which::Last, Weights::Ema, subject.loaded.device)?;
    let (input, wanted) = (
        other.experiment.model.input(),
        subject.loaded.trained.experiment.model.input(),
    );
    if input != wanted {
        return Err(Error::file(
            path,
            format!("looks at images of {input:?} (channels, height, width), these are {wanted:?}"),
            "give --features a run of the same images",
        ));
    }
    Features::of_network(
        other.network()?,
        format!("the run {}, step {}", path.display(), other.step),
    )
}
