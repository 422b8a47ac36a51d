//! A run's folder: where each thing lies, and how a folder is known to be a run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Experiment, yaml};
use crate::error::{Error, Result};
use crate::files;

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run in an existing folder.
    ///
    /// # Errors
    /// When there is no such folder, or it does not hold a run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.into() };
        if !path.is_dir() {
            return Err(Error::file(
                path,
                "no such run",
                "train one with `ebm train EXPERIMENT`, or check the path",
            ));
        }
        if !run.resolved().is_file() {
            return Err(Error::file(
                path,
                "not the folder of a run: it has no resolved.yaml",
                "give the folder that `ebm train` made, such as runs/mnist",
            ));
        }
        Ok(run)
    }

    /// A new run's folder with its configuration: as given, and resolved.
    ///
    /// The folder appears whole: it is filled under another name and renamed.
    ///
    /// # Errors
    /// When something is there already.
    pub fn create(path: &Path, given: &str, experiment: &Experiment) -> Result<Self> {
        Self::ensure_absent(path)?;
        let parent = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = parent.join(format!(".{name}.{}", std::process::id()));
        let staged = Self {
            path: temporary.clone(),
        };
        fs::create_dir_all(staged.checkpoints()).map_err(Error::io(&temporary))?;
        fs::create_dir_all(staged.samples()).map_err(Error::io(&temporary))?;
        files::write_synced(&temporary.join("config.yaml"), given.as_bytes())?;
        files::write_synced(&staged.resolved(), yaml::to_text(experiment).as_bytes())?;
        fs::rename(&temporary, path).map_err(Error::io(path))?;
        files::sync_parent(path)?;
        Ok(Self { path: path.into() })
    }

    /// Refuses a path where something is already.
    pub fn ensure_absent(path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        let what = if path.join("resolved.yaml").is_file() {
            "a run is already there"
        } else {
            "something else is already there"
        };
        Err(Error::file(
            path,
            what,
            "go on with it by --resume, choose another folder by --out, or remove it",
        ))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn experiment(&self) -> Result<Experiment> {
        Experiment::load(&self.resolved(), &[])
    }

    /// Replaces the resolved configuration, as when a run is extended.
    pub fn set_experiment(&self, experiment: &Experiment) -> Result<()> {
        files::write_atomic(&self.resolved(), yaml::to_text(experiment).as_bytes())
    }

    /// Writes a JSON file of that name into the folder.
    pub fn write_json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value).expect("records always serialise");
        files::write_atomic(&self.path.join(name), text.as_bytes())
    }

    /// Reads a JSON file of that name; `None` where there is none or it is of another form.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(&fs::read_to_string(self.path.join(name)).ok()?).ok()
    }

    /// The resolved configuration's file.
    pub fn resolved(&self) -> PathBuf {
        self.path.join("resolved.yaml")
    }

    /// One JSON object a line: the metrics and the events of the run.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Grids of synthesised images.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// The checkpoints' folder.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}
