//! Files that a reader never meets half-written.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` beside `path` and renames, so that `path` is the old file or the whole new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().ok_or_else(|| {
        Error::file(
            path,
            "expected the name of a file, found a folder",
            "add a name, such as samples.png",
        )
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(hidden);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The error to report is the first one; a leftover is at worst a hidden file.
        let _ = fs::remove_file(&part);
    }
    written.map_err(Error::io(path))
}
