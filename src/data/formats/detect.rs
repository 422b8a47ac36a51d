//! The format of a stack of images, by its first bytes.

use std::path::Path;

use super::stack::Stack;
use super::{idx, npy};
use crate::data::reading::head;
use crate::error::Result;

/// A stack by what its first bytes say; `None` where it is neither NumPy's nor idx.
pub(in crate::data) fn detect(path: &Path, input: [i64; 3]) -> Result<Option<Stack>> {
    let head = head(path, 6)?;
    if head.starts_with(npy::MAGIC) {
        return npy::stack(path, input).map(Some);
    }
    if head.starts_with(&[0, 0, 8]) {
        return idx::stack(path).map(Some);
    }
    Ok(None)
}
