//! What commands that write files share: a look beforehand at whether they can be written, and CSV's quotes.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files;

/// Refuses a path that cannot be written, before the work that it is for; makes the folder that it lies in.
pub fn ensure_writable(path: &Path) -> Result<()> {
    let refused = |what: String| {
        Error::file(
            path,
            format!("cannot be written: {what}"),
            "give the path of a file that can",
        )
    };
    files::create_parent(path).map_err(|e| refused(e.to_string()))?;
    files::probe(path).map_err(|e| match e.kind() {
        ErrorKind::IsADirectory => refused("it is a folder".into()),
        _ => refused(e.to_string()),
    })
}

/// A field of a CSV file, quoted where RFC 4180 asks for it.
pub fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
