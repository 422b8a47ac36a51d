//! The library's one error type: every message says what, where, and what to do.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What can go wrong outside the mathematics; divergence is a value, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration or architecture file that cannot be accepted.
    #[error(
        "{}: {}{}\n  remedy: {}",
        told(&file.to_string_lossy()),
        key_prefix(key),
        told(what),
        told(remedy)
    )]
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
    #[error("{}: {}\n  remedy: {}", told(place), told(what), told(remedy))]
    Input {
        /// The file, folder or argument.
        place: String,
        /// What was expected and what was found.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A number that was computed and cannot be right, such as a score that is not finite.
    #[error("{}: {}\n  remedy: {}", told(place), told(what), told(remedy))]
    Failure {
        /// The file, folder or part of the work.
        place: String,
        /// What was expected and what was found.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// The operating system refused to read or write.
    #[error("{}: {source}", told(&path.to_string_lossy()))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// LibTorch refused an operation.
    #[error("LibTorch: {}", shown_lines(&.0.to_string()))]
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

    /// A computation that gave no usable number (exit code 1), at `place`.
    pub fn failure(place: impl ToString, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Failure {
            place: place.to_string(),
            what: what.into(),
            remedy: remedy.into(),
        }
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
        format!("{}: ", told(key))
    }
}

/// Characters of a word from outside that an error tells; the longest path of a file has half as
/// many.
const MOST_TOLD: usize = 8192;

/// A part of an error as [`shown`], cut where it is longer than any path; how much of it is missing
/// is said.
fn told(text: &str) -> Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(MOST_TOLD) else {
        return shown(text);
    };
    let more = text[end..].chars().count();
    format!("{}... ({more} characters more)", shown(&text[..end])).into()
}

/// A word from outside as people may see it: what would steer a terminal or forge a line is written
/// out.
///
/// Control characters, line separators and the marks that turn the direction of text become `\n`,
/// `\x1b` or `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return text.into();
    }
    let escape = |c: char| match c {
        c if !steers(c) => c.to_string(),
        '\n' | '\r' | '\t' => c.escape_default().to_string(),
        c if (c as u32) < 0x100 => format!("\\x{:02x}", c as u32),
        c => c.escape_unicode().to_string(),
    };
    text.chars().map(escape).collect::<String>().into()
}

/// The same of a path.
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// The same of a text of several lines: they stay lines, those after the first indented, so that
/// none of them can pass for a message of this program.
pub fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n  ")
}

/// Whether a character moves the cursor, changes what stands around it, or cannot be seen.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
