//! How a file of data is read: its first bytes, its length, rows of it.

use std::fs::{File, FileType};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::error::{Error, Result};

/// How much of a file is held on the host at once while it is copied to the device.
const BLOCK: usize = 32 << 20;

/// Hands `count` rows of `row_bytes` bytes behind `header` to `take`, many at a time, with the number of the first.
pub(super) fn read_rows(
    path: &Path,
    header: u64,
    count: i64,
    row_bytes: usize,
    mut take: impl FnMut(i64, &[u8]),
) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    file.seek(SeekFrom::Start(header)).map_err(Error::io(path))?;
    let at_once = (BLOCK / row_bytes.max(1)).clamp(1, count.max(1) as usize);
    let mut block = vec![0; at_once * row_bytes];
    let mut from = 0;
    while from < count {
        let n = at_once.min((count - from) as usize);
        let block = &mut block[..n * row_bytes];
        file.read_exact(block).map_err(Error::io(path))?;
        take(from, block);
        from += n as i64;
    }
    Ok(())
}

/// Refuses a file that is not `expected` bytes long.
pub(super) fn check_length(path: &Path, expected: u128) -> Result<()> {
    let found = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if u128::from(found) == expected {
        return Ok(());
    }
    let what = if u128::from(found) < expected {
        "is truncated"
    } else {
        "is too long"
    };
    Err(Error::file(
        path,
        format!("{what}: its header announces {expected} bytes, found {found}"),
        "get or write the file again",
    ))
}

/// The first bytes of a file, at most `n`; what is no regular file is not opened, since that might
/// never end.
pub(super) fn head(path: &Path, n: u64) -> Result<Vec<u8>> {
    let kind = std::fs::metadata(path).map_err(|e| missing(path, e))?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() { "folder" } else { special(kind) };
        return Err(Error::file(
            path,
            format!("is a {found}; expected a file"),
            "copy its content to a file, and name that",
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| missing(path, e))?;
    file.take(n).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

/// A file that is not there is the user's to mend, anything else the machine's.
pub(super) fn missing(path: &Path, e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(
            path,
            "no such file or folder",
            "check the path; it is taken relative to the folder you are in",
        ),
        _ => Error::io(path)(e),
    }
}

/// What a file that holds no bytes of its own is called.
pub(super) fn special(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "FIFO"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}
