//! Results on stdout: one that cannot be written is an error, like any other file.

use std::fmt::Arguments;
use std::fs::File;
use std::io::Write;

use crate::error::{Error, Result};
use crate::ffi;

/// How errors name it.
const NAME: &str = "standard output";

/// Stdout as a file, without a buffer; `println!` would pass over a closed one, and panic at a full
/// one.
pub fn file() -> Result<File> {
    ffi::descriptor(1).map_err(Error::io(NAME))
}

/// What cannot be written to stdout, as the error that it is.
pub fn error(source: std::io::Error) -> Error {
    Error::io(NAME)(source)
}

/// Writes a text at once.
pub fn text(text: &str) -> Result<()> {
    file()?.write_all(text.as_bytes()).map_err(error)
}

/// Writes a line at once.
pub fn line(words: Arguments) -> Result<()> {
    text(&format!("{words}\n"))
}

/// A line on stdout, worded as for `println!`; gives a result.
macro_rules! outln {
    () => { $crate::cli::stdout::line(format_args!("")) };
    ($($words:tt)+) => { $crate::cli::stdout::line(format_args!($($words)+)) };
}

pub(crate) use outln;
