//! Whether a WebP file is whole: the lengths of the container, its chunks and the lossy data.

use super::rest::{Damage, Rest, early};

/// Goes through all chunks that the container announces.
pub(super) fn check(bytes: &[u8]) -> Result<(), Damage> {
    let mut rest = Rest(bytes);
    rest.take(4, "the header")?;
    let length = u32::from_le_bytes(rest.array("the header")?);
    let mut chunks = Rest(rest.take(length as usize, "the container")?);
    chunks.take(4, "the header")?;
    each(chunks)
}

/// Name, length, data, and a byte that makes the length even.
fn each(mut chunks: Rest) -> Result<(), Damage> {
    while !chunks.0.is_empty() {
        let name = chunks.take(4, "the head of a chunk")?;
        let length = u32::from_le_bytes(chunks.array("the head of a chunk")?) as usize;
        let data = chunks.take(length, "a chunk")?;
        if length % 2 == 1 && !chunks.0.is_empty() {
            chunks.take(1, "a chunk")?;
        }
        match name {
            b"VP8 " => lossy(data)?,
            b"ANMF" => {
                let mut frame = Rest(data);
                frame.take(16, "the head of a frame")?;
                each(frame)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The head of a key frame tells how long the first of its two or more partitions is.
fn lossy(data: &[u8]) -> Result<(), Damage> {
    let mut rest = Rest(data);
    let [a, b, c] = rest.array("the head of the frame")?;
    let first = u32::from_le_bytes([a, b, c, 0]) >> 5;
    rest.take(7, "the head of the frame")?;
    rest.take(first as usize, "the first partition")?;
    match rest.0 {
        [] => Err(early("the frame, which has no second partition")),
        _ => Ok(()),
    }
}
