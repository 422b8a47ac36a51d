//! Whether a JPEG file is whole: a decoder fills what is missing with grey, and says nothing.

use super::rest::{Damage, Rest, early};

/// Goes from marker to marker to the end of the image, over the data of all scans.
///
/// A thumbnail inside a segment is passed over with it. Returns the bytes a pixel of the
/// coefficients that a decoder must keep until the last scan.
pub(super) fn check(bytes: &[u8]) -> Result<u128, Damage> {
    let mut rest = Rest(bytes);
    let (mut components, mut is_progressive, mut scans) = (0, false, 0);
    let mut is_in_parts = false;
    loop {
        let marker = next_marker(&mut rest)?;
        match marker {
            // Start of an image, and markers without a length.
            0xd8 | 0x01 | 0xd0..=0xd7 => {}
            0xd9 if scans == 0 => return Err("it ends before its first scan".into()),
            0xd9 => {
                return Ok(if is_progressive || is_in_parts {
                    2 * components
                } else {
                    0
                });
            }
            _ => {
                let segment = segment(&mut rest)?;
                match (marker, segment) {
                    (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, [_, _, _, _, _, n, ..]) => {
                        (components, is_progressive) = (u128::from(*n), marker > 0xc1);
                    }
                    (0xda, [n, ..]) => {
                        scans += 1;
                        is_in_parts |= u128::from(*n) < components;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The code behind the next 0xff that is neither stuffed (0xff 0x00) nor filling (0xff 0xff).
fn next_marker(rest: &mut Rest) -> Result<u8, Damage> {
    loop {
        let at = rest.0.iter().position(|byte| *byte == 0xff);
        rest.0 = &rest.0[at.ok_or_else(no_end)?..];
        let filling = rest.0.iter().position(|byte| *byte != 0xff).ok_or_else(no_end)?;
        let code = rest.0[filling];
        rest.0 = &rest.0[filling + 1..];
        if code != 0 {
            return Ok(code);
        }
    }
}

/// What stands behind a marker and its length, which counts its own two bytes.
fn segment<'a>(rest: &mut Rest<'a>) -> Result<&'a [u8], Damage> {
    let length = u16::from_be_bytes(rest.array("a segment")?);
    match length.checked_sub(2) {
        Some(length) => rest.take(length.into(), "a segment"),
        None => Err(format!("a segment announces {length} bytes, its own length takes two")),
    }
}

fn no_end() -> Damage {
    early("the pixels: no end of the image (FF D9) comes after them")
}
