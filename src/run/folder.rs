//! A run's folder: where each thing lies, and how a folder is known to be a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::yaml;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::files;

const LOCK: &str = "lock";

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    /// The lock that this process holds, where it does: what lies at the path is its run while this
    /// file lies there.
    claim: Option<Arc<File>>,
}

impl RunDir {
    /// Of a trial that leaves nothing behind: nothing may be read from it or written to it.
    pub(crate) fn none() -> Self {
        Self::at(PathBuf::new())
    }

    /// The run in an existing folder.
    ///
    /// # Errors
    /// When there is no such folder, or it does not hold a run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self::at(path.into());
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
        let staged = Self::at(staging_beside(path)?);
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
        Ok(Self::at(path.into()))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, claim: None }
    }

    fn fill(&self, given: &str, experiment: &Experiment) -> Result<()> {
        fs::create_dir(self.checkpoints()).map_err(Error::io(&self.path))?;
        fs::create_dir(self.samples()).map_err(Error::io(&self.path))?;
        files::write_synced(&self.path.join("config.yaml"), given.as_bytes())?;
        files::write_synced(&self.resolved(), yaml::to_text(experiment).as_bytes())
    }

    /// Claims the run for this process until the last copy of the value is dropped, or the process
    /// ends.
    ///
    /// # Errors
    /// When another process trains it, or its lock is no plain file.
    pub fn claim(mut self) -> Result<Self> {
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        // A link is not followed, and a pipe not waited for.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path).map_err(|e| match e.raw_os_error() {
            Some(libc::ELOOP) => not_plain(&path),
            _ => Error::io(&path)(e),
        })?;
        if !file.metadata().map_err(Error::io(&path))?.is_file() {
            return Err(not_plain(&path));
        }
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
        self.claim = Some(Arc::new(file));
        self.ensure_own()?;
        self.remove_temporaries()?;
        Ok(self)
    }

    /// Refuses to go on where the folder at the path is no longer the run that this process has
    /// claimed.
    ///
    /// # Errors
    /// When it was moved, removed, or replaced by another.
    pub fn ensure_own(&self) -> Result<()> {
        let Some(lock) = &self.claim else { return Ok(()) };
        let held = lock.metadata().map_err(Error::io(&self.path))?;
        let there = fs::symlink_metadata(self.path.join(LOCK));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return Ok(());
        }
        Err(Error::io(&self.path)(io::Error::other(
            "the run that this process trains is no longer here: its folder was moved, removed or replaced, or its lock was\n  remedy: go on with the run where it lies now, by --resume and --out; nothing more was written here",
        )))
    }

    /// The path of a file in the folder, such as `samples/final.png`, before it is written.
    ///
    /// # Errors
    /// When the folder is no longer this process's run, or the path leads over a link or to what is no regular file.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let path = match name.rsplit_once('/') {
            Some((folder, name)) => self.folder(folder)?.join(name),
            None => self.folder("")?.join(name),
        };
        match fs::symlink_metadata(&path) {
            Ok(there) if !there.is_file() => Err(not_plain(&path)),
            _ => Ok(path),
        }
    }

    /// A folder in the run, made where it is missing; the run's own folder, of the name "", is
    /// never made again.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        self.ensure_own()?;
        let path = self.path.join(name);
        if name.is_empty() {
            return Ok(self.path.clone());
        }
        if is_link(&path) {
            return Err(not_plain(&path));
        }
        if !path.is_dir() {
            fs::create_dir(&path).map_err(Error::io(&path))?;
        }
        Ok(path)
    }

    /// Removes what a killed process left of files that it was about to put in their place.
    fn remove_temporaries(&self) -> Result<()> {
        for folder in [self.path.clone(), self.folder("checkpoints")?, self.folder("samples")?] {
            for entry in fs::read_dir(&folder).map_err(Error::io(&folder))?.flatten() {
                let left = entry.file_name().to_string_lossy().starts_with(files::TEMPORARY);
                if left && entry.file_type().is_ok_and(|t| t.is_file()) {
                    fs::remove_file(entry.path()).map_err(Error::io(entry.path()))?;
                }
            }
        }
        Ok(())
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
        files::write_atomic(&self.file("resolved.yaml")?, yaml::to_text(experiment).as_bytes())
    }

    /// Writes a JSON file of that name into the folder.
    pub fn write_json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value).expect("records always serialise");
        files::write_atomic(&self.file(name)?, text.as_bytes())
    }

    /// Reads a JSON file of that name; `None` where there is none or it is of another form.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&files::read_regular(&self.path.join(name)).ok()?).ok()
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

/// A new folder beside `path`, in which a run is filled before it gets its name.
fn staging_beside(path: &Path) -> Result<PathBuf> {
    loop {
        let staging = path.with_file_name(files::temporary_name());
        match fs::create_dir(&staging) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| staging).map_err(Error::io(path)),
        }
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink())
}

fn not_plain(path: &Path) -> Error {
    Error::file(
        path,
        "is a link or no file, and a run writes only inside its own folder",
        "remove it, or put the thing itself in its place",
    )
}
