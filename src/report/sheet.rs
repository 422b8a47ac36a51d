//! Images as a grid with words beneath them.

use std::path::Path;

use plotters::style::text_anchor::{HPos, Pos, VPos};
use tch::{Device, Kind, Tensor};

use super::canvas::Canvas;
use super::pictures::{self, GAP, scale};
use super::plot::{self, Drawn, FINE, font};
use crate::error::{Error, Result};
use crate::files;

/// Pixels of a line of words.
const LINE: u32 = 18;
/// The size of its letters.
const LETTERS: u32 = 12;

/// Writes `images` (u8 `[N,C,H,W]`, C 1 or 3) as [`grid`](super::grid) does, with a caption beneath
/// each.
///
/// Images beyond the captions have none, and a row without any has no room for them.
///
/// # Errors
/// Where the tensor is of another form or the file cannot be written.
pub fn sheet(images: &Tensor, captions: &[String], columns: usize, path: &Path) -> Result<()> {
    files::write_atomic(path, &canvas(images, captions, columns, path)?.png(path)?)
}

/// The images side by side with their captions; `path` is named where that fails.
pub(super) fn canvas(images: &Tensor, captions: &[String], columns: usize, path: &Path) -> Result<Canvas> {
    if captions.iter().all(String::is_empty) {
        return pictures::canvas(images, columns);
    }
    let images = pictures::checked(images)?;
    let (columns, scale) = (columns.clamp(1, images.size()[0] as usize), scale(&images));
    let cell = (scale * images.size()[3] + GAP) as u32;
    let width = cell * columns as u32 + GAP as u32;
    let mut parts = Vec::new();
    for (row, own) in images.split(columns as i64, 0).iter().enumerate() {
        parts.push(picture_row(own, scale, width.into(), row > 0));
        let captions: Vec<&String> = captions
            .iter()
            .skip(row * columns)
            .take(own.size()[0] as usize)
            .collect();
        if captions.iter().any(|c| !c.is_empty()) {
            parts.push(words(&captions, cell, width).map_err(|e| {
                let what = format!("the captions cannot be drawn: {e}");
                Error::file(path, what, "report this as a fault")
            })?);
        }
    }
    Canvas::of(&Tensor::cat(&parts, 1))
}

/// A row of images in colour, `[3,H,width]`; one that follows another has the gap above it already.
fn picture_row(images: &Tensor, scale: i64, width: i64, follows: bool) -> Tensor {
    let row = pictures::tiled(images, images.size()[0] as usize, scale, GAP);
    let row = row.expand([3, -1, -1], false);
    let above = if follows { GAP } else { 0 };
    let row = row.narrow(1, above, row.size()[1] - above);
    let missing = width - row.size()[2];
    row.pad([0, missing], "constant", pictures::GROUND as f64)
}

/// A line of captions, each in the middle of its cell, `[3,LINE,width]`.
fn words(captions: &[&String], cell: u32, width: u32) -> Drawn<Tensor> {
    let canvas = plot::picture((width, LINE), |area| {
        let style = font(LETTERS).pos(Pos::new(HPos::Center, VPos::Center));
        for (i, caption) in captions.iter().enumerate() {
            let middle = GAP as u32 / 2 + cell * i as u32 + cell / 2;
            let shown = plot::fitted(caption, &font(LETTERS), cell)?;
            area.draw_text(&shown, &style, ((middle * FINE) as i32, (LINE * FINE / 2) as i32))?;
        }
        Ok(())
    })?;
    let pixels = Tensor::from_data_size(&canvas.bytes, &[LINE.into(), width.into(), 3], Kind::Uint8);
    Ok(pixels.permute([2, 0, 1]).to_device(Device::Cpu))
}
