//! Chains over time as an animated GIF.

use std::path::Path;

use gif::{Encoder, Frame, Repeat};
use tch::{Kind, Tensor};

use super::pictures;
use crate::error::{Error, Result};
use crate::files;

/// Longer chains are thinned to so many frames.
const MOST_FRAMES: usize = 60;
/// The film's width and height stay below about so many pixels.
const SIDE: i64 = 400;
/// Hundredths of a second that a frame stays, and the last one.
const DELAY: (u16, u16) = (6, 200);
/// Levels of grey: noise compresses badly, and the eye does not miss the rest.
const GREYS: usize = 32;

/// Writes `frames` (each u8 `[N,C,H,W]`, C 1 or 3) as an endless film of grids, `columns` images in a row.
///
/// At most 60 frames are taken, at even distances, the first and last among them.
///
/// # Errors
/// Where the frames are of another form, or not all of the same, or the file cannot be written.
pub fn film(frames: &[Tensor], columns: usize, path: &Path) -> Result<()> {
    let frames = pictures::stacked(frames, MOST_FRAMES)?;
    let columns = (columns.max(1) as i64).min(frames.size()[1]);
    let rows = (frames.size()[1] + columns - 1) / columns;
    let natural = (rows * frames.size()[3]).max(columns * frames.size()[4]);
    let scale = (SIDE / natural).clamp(1, 4);
    let mut out = Vec::new();
    encode(&frames, columns as usize, scale, &mut out).map_err(|e| {
        Error::file(
            path,
            format!("the film cannot be encoded: {e}"),
            "record fewer or smaller images",
        )
    })?;
    files::write_atomic(path, &out)
}

fn encode(
    frames: &Tensor,
    columns: usize,
    scale: i64,
    out: &mut Vec<u8>,
) -> std::result::Result<(), gif::EncodingError> {
    let level = |i: usize| (i * 255 / (GREYS - 1)) as u8;
    let palette: Vec<u8> = (0..GREYS).flat_map(|i| [level(i); 3]).collect();
    let count = frames.size()[0];
    let mut encoder: Option<Encoder<&mut Vec<u8>>> = None;
    let mut out = Some(out);
    for i in 0..count {
        let picture = pictures::tiled(&frames.get(i), columns, scale, 2);
        let mut frame = frame(&picture);
        frame.delay = if i + 1 == count { DELAY.1 } else { DELAY.0 };
        if let Some(out) = out.take() {
            let mut first = Encoder::new(out, frame.width, frame.height, &palette)?;
            first.set_repeat(Repeat::Infinite)?;
            encoder = Some(first);
        }
        if let Some(encoder) = &mut encoder {
            encoder.write_frame(&frame)?;
        }
    }
    Ok(())
}

/// Grey frames index the film's palette; colours are quantised frame by frame.
fn frame(chw: &Tensor) -> Frame<'static> {
    let size = chw.size();
    let (height, width) = (size[1] as u16, size[2] as u16);
    let hwc = chw.permute([1, 2, 0]).contiguous().view(-1);
    let bytes = |t: &Tensor| Vec::<u8>::try_from(t).expect("checked to be u8");
    if size[0] == 1 {
        let indices = (hwc.to_kind(Kind::Int) * (GREYS as i64 - 1) + 127).divide_scalar_mode(255, "floor");
        let indices = bytes(&indices.to_kind(Kind::Uint8));
        return Frame {
            width,
            height,
            buffer: indices.into(),
            ..Frame::default()
        };
    }
    Frame::from_rgb_speed(width, height, &bytes(&hwc), 10)
}
