//! The idx format of MNIST: a big-endian header with the kind and the sizes, then the bytes.

use std::path::Path;

use super::stack::Stack;
use crate::data::reading::{check_length, head};
use crate::error::{Error, Result};

/// Reads the header of a stack of u8 images, `[N,H,W]`.
pub(in crate::data) fn stack(path: &Path) -> Result<Stack> {
    let sizes = header::<3>(path, "images, u8 [N,H,W]")?;
    Stack {
        path: path.into(),
        header: 16,
        count: sizes[0],
        shape: [1, sizes[1], sizes[2]],
        channels_last: false,
    }
    .checked()
}

/// Reads a file of u8 labels, `[N]`.
pub(in crate::data) fn labels(path: &Path) -> Result<Vec<i64>> {
    let [count] = header::<1>(path, "labels, u8 [N]")?;
    check_length(path, 8 + count as u128)?;
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Ok(bytes[8..].iter().map(|b| i64::from(*b)).collect())
}

/// The sizes of a u8 array of `D` dimensions.
fn header<const D: usize>(path: &Path, content: &str) -> Result<[i64; D]> {
    let length = 4 + 4 * D;
    let bytes = head(path, length as u64)?;
    let expected = [0, 0, 8, D as u8];
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(Error::file(
            path,
            format!("is compressed by gzip; expected the plain idx file ({content})"),
            "unpack it with gunzip",
        ));
    }
    if bytes.len() >= 4 && bytes[..4] != expected {
        return Err(Error::file(
            path,
            format!(
                "wrong magic number: expected {} ({content}), found {}",
                spaced(&expected),
                spaced(&bytes[..4])
            ),
            "give an idx file of that kind",
        ));
    }
    if bytes.len() < length {
        return Err(Error::file(
            path,
            format!(
                "is truncated: an idx header ({content}) has {length} bytes, found {}",
                bytes.len()
            ),
            "get or write the file again",
        ));
    }
    let size = |i: usize| u32::from_be_bytes(bytes[4 + 4 * i..8 + 4 * i].try_into().expect("four bytes"));
    Ok(std::array::from_fn(|i| i64::from(size(i))))
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}
