//! Whether a BMP file is whole: as long as its header implies, or run lengths to their end.

use super::rest::{Damage, Rest};

/// Checks plain pixels by their count, run lengths code by code; other kinds are for the decoder to
/// refuse.
pub(super) fn check(bytes: &[u8]) -> Result<(), Damage> {
    let mut rest = Rest(bytes);
    rest.take(10, "the header")?;
    let from = u32::from_le_bytes(rest.array("the header")?);
    let header = u32::from_le_bytes(rest.array("the header")?);
    let (w, h, bits, compression) = match header {
        12 => {
            let [w0, w1, h0, h1, _, _, b0, b1] = rest.array("the header")?;
            let size = |low, high| u64::from(u16::from_le_bytes([low, high]));
            (size(w0, w1), size(h0, h1), size(b0, b1), 0)
        }
        _ => {
            let w = i32::from_le_bytes(rest.array("the header")?);
            let h = i32::from_le_bytes(rest.array("the header")?);
            let [_, _, b0, b1] = rest.array("the header")?;
            let compression = u32::from_le_bytes(rest.array("the header")?);
            let bits = u64::from(u16::from_le_bytes([b0, b1]));
            (w.unsigned_abs().into(), h.unsigned_abs().into(), bits, compression)
        }
    };
    let mut pixels = Rest(bytes);
    pixels.take(from as usize, "the colours")?;
    match compression {
        0 | 3 | 6 => {
            // A row is filled to a multiple of four bytes.
            let row = (w * bits).div_ceil(32) * 4;
            let all = usize::try_from(row.saturating_mul(h)).unwrap_or(usize::MAX);
            pixels.take(all, "the pixels").map(drop)
        }
        1 | 2 => run_lengths(pixels, compression == 2),
        _ => Ok(()),
    }
}

/// Codes of two bytes to the one that ends the picture; some bring pixels of four or eight bits, to
/// an even length.
fn run_lengths(mut codes: Rest, is_four_bits: bool) -> Result<(), Damage> {
    loop {
        match codes.array("the run lengths")? {
            [0, 1] => return Ok(()),
            [0, 2] => drop(codes.take(2, "the run lengths")?),
            [0, n @ 3..=255] => {
                let n = usize::from(n);
                let bytes = if is_four_bits { n.div_ceil(2) } else { n };
                codes.take(bytes.next_multiple_of(2), "the run lengths")?;
            }
            _ => {}
        }
    }
}
