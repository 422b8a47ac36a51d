//! A TorchScript file as the archive that it is: its code looked through, and written anew as what
//! was seen.

use std::collections::HashSet;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use zip::write::FileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::script_code::reaching;
use crate::error::{Error, Result};
use crate::memory;

/// Custom classes of C++ in a pickle, whose own code runs when they are read.
const CLASSES: [&[u8]; 2] = [b"torch.classes", b"torch\nclasses"];

/// The entries of the archive, uncompressed and each once, in a new archive.
///
/// Loading this one loads what was looked through: two readers may see different entries in a file
/// that was made for it.
///
/// # Errors
/// Where it is no such archive, or an entry reaches beyond tensors.
pub(super) fn looked_through(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let broken = |e: zip::result::ZipError| unreadable(path, &e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut whole = ZipWriter::new(Cursor::new(Vec::new()));
    let mut names = HashSet::new();
    let mut room = memory::available();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(broken)?;
        let name = entry.name().to_owned();
        // LibTorch looks names up in either case.
        if !names.insert(name.to_lowercase()) {
            return Err(unreadable(path, &format!("two entries are called {name}")));
        }
        room = room
            .checked_sub(entry.size())
            .ok_or_else(|| unreadable(path, "memory does not hold it"))?;
        let mut contents = Vec::new();
        let size = entry.size();
        let read = entry.by_ref().take(size).read_to_end(&mut contents);
        read.map_err(|e| unreadable(path, &format!("{name}: {e}")))?;
        if let Some(what) = fault(&name, &contents) {
            return Err(refused(path, &name, &what));
        }
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(contents.len() as u64 > u64::from(u32::MAX));
        whole.start_file(name, options).map_err(broken)?;
        whole.write_all(&contents).map_err(Error::io(path))?;
    }
    Ok(whole.finish().map_err(broken)?.into_inner())
}

/// What in an entry reaches beyond tensors.
fn fault(name: &str, contents: &[u8]) -> Option<String> {
    let name = name.to_lowercase();
    if name.ends_with(".py") {
        return match std::str::from_utf8(contents) {
            Ok(code) => reaching(code),
            Err(_) => Some("is no text".into()),
        };
    }
    // The form of before 2019 names the entries of its code itself.
    if name.ends_with("model.json") {
        return Some("is of a form that is no longer written".into());
    }
    let holds = |words: &&[u8]| contents.windows(words.len()).any(|part| part == *words);
    let object = name.ends_with(".pkl") && CLASSES.iter().any(holds);
    object.then(|| "uses objects of C++ (`torch.classes`)".to_owned())
}

fn refused(path: &Path, entry: &str, what: &str) -> Error {
    Error::file(
        path,
        format!("is a program that may reach beyond its images: {entry} {what}"),
        "take a network that only computes; or, if you trust the file as you would trust a program, give --trust-features",
    )
}

/// What is said of a file that is no TorchScript.
pub(super) fn unreadable(path: &Path, why: &str) -> Error {
    Error::file(
        path,
        format!("cannot be read as TorchScript: {why}"),
        "save the network by torch.jit.trace(...).save(FILE) or torch.jit.script(...).save(FILE)",
    )
}
