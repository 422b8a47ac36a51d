//! SHA-256 of files and of lists of numbers, in hexadecimal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The hash of a file's content.
pub(super) fn file(path: &Path) -> Result<String> {
    let mut source = File::open(path).map_err(Error::io(path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match source.read(&mut block).map_err(Error::io(path))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

/// The hash of indices, each as eight bytes, lowest first.
pub(super) fn indices(numbers: &[i64]) -> String {
    let mut hasher = Sha256::new();
    numbers.iter().for_each(|n| hasher.update(n.to_le_bytes()));
    hex(&hasher.finalize())
}

/// The hash of lines of text.
pub(super) fn lines(lines: impl Iterator<Item = String>) -> String {
    let mut hasher = Sha256::new();
    lines.for_each(|line| {
        hasher.update(line);
        hasher.update("\n");
    });
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
