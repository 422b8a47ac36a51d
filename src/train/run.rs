//! A run's folder: where each thing lies, and how a folder is known to be a run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::config::{Experiment, yaml};
use crate::error::{Error, Result};
use crate::files;

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// The claim of one process on a run.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl RunDir {
    /// Of a trial that leaves nothing behind: nothing may be read from it or written to it.
    pub(super) fn none() -> Self {
        Self { path: PathBuf::new() }
    }

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
    /// The folder appears whole: it is filled under another name and renamed. `fill` puts in what must be there from
    /// the beginning, such as the checkpoint of weights that were given.
    ///
    /// # Errors
    /// When something is there already, or `fill` fails; nothing is left behind then.
    pub fn create(
        path: &Path,
        given: &str,
        experiment: &Experiment,
        fill: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        Self::ensure_absent(path)?;
        files::create_parent(path)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let staged = Self {
            path: path.with_file_name(name),
        };
        let made = staged
            .fill(given, experiment)
            .and_then(|()| fill(&staged))
            .and_then(|()| fs::rename(&staged.path, path).map_err(Error::io(path)));
        if made.is_err() {
            let _ = fs::remove_dir_all(&staged.path);
            // Another process may have made the run in the meantime.
            Self::ensure_absent(path)?;
        }
        made?;
        files::sync_parent(path)?;
        Ok(Self { path: path.into() })
    }

    fn fill(&self, given: &str, experiment: &Experiment) -> Result<()> {
        fs::create_dir_all(self.checkpoints()).map_err(Error::io(&self.path))?;
        fs::create_dir_all(self.samples()).map_err(Error::io(&self.path))?;
        files::write_synced(&self.path.join("config.yaml"), given.as_bytes())?;
        files::write_synced(&self.resolved(), yaml::to_text(experiment).as_bytes())
    }

    /// Claims the run for this process until the value is dropped, or the process ends in whatever way.
    ///
    /// # Errors
    /// When another process trains it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path.join("lock");
        let file = File::create(&path).map_err(Error::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::file(
                    &self.path,
                    "another process is training this run",
                    "wait for it or end it, or train into another folder by --out",
                ));
            }
            // Some network file systems have no locks; training there is better than not.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::io(path)(e)),
        }
        Ok(Lock { _file: file })
    }

    /// Refuses a path where something is already, or that cannot become a folder.
    pub fn ensure_absent(path: &Path) -> Result<()> {
        let above_is_file = path.ancestors().skip(1).any(Path::is_file);
        if path.file_name().is_none() || above_is_file {
            return Err(Error::file(
                path,
                "cannot become the folder of a run",
                "give a plain path by --out, such as runs/mnist",
            ));
        }
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
