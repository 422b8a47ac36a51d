//! Pixels that are about to become a PNG.

use std::io::Cursor;
use std::path::Path;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use tch::Tensor;

use crate::error::{Error, Result};

/// Pixels in rows, grey or RGB.
pub(super) struct Canvas {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    pub bytes: Vec<u8>,
}

impl Canvas {
    /// Of u8 `[C,H,W]`.
    pub fn of(chw: &Tensor) -> Result<Self> {
        let (c, h, w) = chw.size3()?;
        let hwc = chw.permute([1, 2, 0]).contiguous();
        Ok(Self {
            width: w as u32,
            height: h as u32,
            channels: c as usize,
            bytes: Vec::try_from(hwc.view(-1))?,
        })
    }

    /// The canvas as a PNG; `path` is named where that fails.
    pub fn png(&self, path: &Path) -> Result<Vec<u8>> {
        let colour = match self.channels {
            1 => ExtendedColorType::L8,
            _ => ExtendedColorType::Rgb8,
        };
        let mut out = Cursor::new(Vec::new());
        PngEncoder::new(&mut out)
            .write_image(&self.bytes, self.width, self.height, colour)
            .map_err(|e| {
                Error::file(
                    path,
                    format!("the picture cannot be encoded: {e}"),
                    "write fewer images",
                )
            })?;
        Ok(out.into_inner())
    }
}
