//! SHA-256 of files and of lists of numbers, in hexadecimal.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files;

/// The hash of a file's content.
pub(super) fn file(path: &Path) -> Result<String> {
    let mut source = File::open(path).map_err(Error::io(path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match source.read(&mut block).map_err(Error::io(path))? {
            0 => return Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hasher.update(&block[..n]),
        }
    }
}

/// The hashes of many files' contents, in their order; each core reads its share.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<String>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let parts = paths.chunks(share);
        let workers: Vec<_> = parts
            .map(|paths| scope.spawn(|| paths.iter().map(|path| file(path)).collect::<Result<Vec<_>>>()))
            .collect();
        let hashed = workers.into_iter().map(|w| w.join().expect("hashing does not panic"));
        Ok(hashed.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// The hash of indices, each as eight bytes, lowest first.
pub(super) fn indices(numbers: &[i64]) -> String {
    files::sha256(&numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>())
}

/// The hash of lines of text, each with its line end.
pub(super) fn lines(lines: impl Iterator<Item = String>) -> String {
    files::sha256(
        lines
            .flat_map(|line| [line, "\n".into()])
            .collect::<String>()
            .as_bytes(),
    )
}
