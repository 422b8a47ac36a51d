//! The library's one error type: every message says what, where, and what to do.

use std::path::{Path, PathBuf};

/// What can go wrong outside the mathematics; divergence is a value, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration or architecture file that cannot be accepted.
    #[error("{}: {}{what}\n  remedy: {remedy}", file.display(), key_prefix(key))]
    Config {
        /// The file, as the user named it.
        file: PathBuf,
        /// The path of the key inside the file, such as `sampler.step_size`; empty for the whole file.
        key: String,
        /// What was expected and what was found.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// Data, images, runs, checkpoints or devices that cannot be used.
    #[error("{place}: {what}\n  remedy: {remedy}")]
    Input {
        /// The file, folder or argument.
        place: String,
        /// What was expected and what was found.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// The operating system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// LibTorch refused an operation.
    #[error("LibTorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// The library's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Trouble with what the user gave (exit code 2), at `place`.
    pub fn input(place: impl ToString, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Input {
            place: place.to_string(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Trouble with a file that was given, named by its path.
    pub fn file(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::input(path.display(), what, remedy)
    }

    /// Wraps an I/O error with the path it happened at; for `map_err`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        matches!(self, Error::Config { .. } | Error::Input { .. })
    }
}

fn key_prefix(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("{key}: ")
    }
}
