//! Chains over time as one picture.

use std::path::Path;

use tch::Tensor;

use super::pictures::stacked;
use super::sheet::sheet;
use crate::error::Result;

/// Writes chains over time as one PNG: a row is a chain, a column is one of `frames` (each u8
/// `[N,C,H,W]`), with its caption beneath the last chain, if there are `captions`.
///
/// # Errors
/// Where the frames are of another form, or not all of the same, or the file cannot be written.
pub fn strip(frames: &[Tensor], captions: &[String], path: &Path) -> Result<()> {
    let frames = stacked(frames, frames.len())?;
    let [steps, chains, c, h, w] = frames.size()[..] else {
        unreachable!("a stack of images has five dimensions")
    };
    let rows = frames.transpose(0, 1).contiguous().view([chains * steps, c, h, w]);
    let mut under = vec![String::new(); ((chains - 1) * steps) as usize];
    under.extend_from_slice(captions);
    sheet(&rows, &under, steps as usize, path)
}
