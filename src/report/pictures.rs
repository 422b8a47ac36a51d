//! Images as files: a grid, one file an image, a NumPy stack.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::canvas::Canvas;
use crate::error::{Error, Result};
use crate::files;

/// Small images are enlarged by a whole number to about so many pixels.
const CELL: i64 = 96;
/// Pixels between two images, and around all.
pub(super) const GAP: i64 = 4;
/// Brightness of the gaps.
pub(super) const GROUND: i64 = 255;

/// The images side by side, enlarged, `columns` in a row.
pub(super) fn canvas(images: &Tensor, columns: usize) -> Result<Canvas> {
    let images = checked(images)?;
    Canvas::of(&tiled(&images, columns, scale(&images), GAP))
}

/// How many times images are enlarged in a grid.
pub(super) fn scale(images: &Tensor) -> i64 {
    let side = images.size()[2].max(images.size()[3]);
    (CELL / side).max(1)
}

/// `images` u8 `[N,C,H,W]` as one [C,H',W'], each pixel `scale` wide, `gap` between images.
pub(super) fn tiled(images: &Tensor, columns: usize, scale: i64, gap: i64) -> Tensor {
    let large = images
        .repeat_interleave_self_int(scale, 2, None)
        .repeat_interleave_self_int(scale, 3, None);
    let [n, c, h, w] = large.size()[..] else {
        unreachable!("checked to have four dimensions")
    };
    let columns = (columns.max(1) as i64).min(n);
    let rows = (n + columns - 1) / columns;
    let size = [c, rows * (h + gap) + gap, columns * (w + gap) + gap];
    let ground = Tensor::full(size, GROUND, (Kind::Uint8, Device::Cpu));
    for i in 0..n {
        let (y, x) = (gap + i / columns * (h + gap), gap + i % columns * (w + gap));
        ground.narrow(1, y, h).narrow(2, x, w).copy_(&large.get(i));
    }
    ground
}

/// The same images on the CPU, once they are found to be u8 `[N,C,H,W]`, N at least 1, C 1 or 3.
pub(super) fn checked(images: &Tensor) -> Result<Tensor> {
    let size = images.size();
    let holds =
        images.kind() == Kind::Uint8 && size.len() == 4 && [1, 3].contains(&size[1]) && size.iter().all(|s| *s > 0);
    if !holds {
        return Err(Error::input(
            "images to draw",
            format!("expected Uint8 [N, 1 or 3, H, W], found {:?} {size:?}", images.kind()),
            "convert them to u8 images first",
        ));
    }
    Ok(images.to_device(Device::Cpu).contiguous())
}

/// Writes `images` (u8 `[N,C,H,W]`, C 1 or 3) as one PNG, `columns` in a row, small ones enlarged.
///
/// # Errors
/// Where the tensor is of another form or the file cannot be written.
pub fn grid(images: &Tensor, columns: usize, path: &Path) -> Result<()> {
    files::write_atomic(path, &canvas(images, columns)?.png(path)?)
}

/// At most `most` of the frames, evenly, as [S,N,C,H,W] on the CPU.
pub(super) fn stacked(frames: &[Tensor], most: usize) -> Result<Tensor> {
    let count = frames.len().min(most.max(1));
    let at = |i: usize| i * frames.len().saturating_sub(1) / count.saturating_sub(1).max(1);
    let chosen = (0..count)
        .map(|i| checked(&frames[at(i)]))
        .collect::<Result<Vec<_>>>()?;
    if chosen.is_empty() || chosen.iter().any(|f| f.size() != chosen[0].size()) {
        return Err(Error::input(
            "frames of a chain",
            "expected at least one, all of the same size",
            "record the same chains at every step",
        ));
    }
    Ok(Tensor::stack(&chosen, 0))
}

/// Columns of a nearly square grid of `n` images.
pub fn columns(n: i64) -> usize {
    (n as f64).sqrt().ceil().max(1.0) as usize
}

/// Writes each of `images` (u8 `[N,C,H,W]`, C 1 or 3) as `folder`/00000.png, 00001.png, ...
///
/// # Errors
/// Where the tensor is of another form or a file cannot be written.
pub fn images_to_folder(images: &Tensor, folder: &Path) -> Result<()> {
    let images = checked(images)?;
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    for i in 0..images.size()[0] {
        let path = folder.join(format!("{i:05}.png"));
        files::write_atomic(&path, &Canvas::of(&images.get(i))?.png(&path)?)?;
    }
    Ok(())
}

/// Writes `images` (u8 `[N,C,H,W]`) as a NumPy array of that shape.
///
/// # Errors
/// Where the tensor is of another kind or the file cannot be written.
pub fn npy(images: &Tensor, path: &Path) -> Result<()> {
    let images = checked(images)?;
    let mut out = npy_header("|u1", &images);
    out.extend(Vec::<u8>::try_from(images.view(-1))?);
    files::write_atomic(path, &out)
}

/// Writes points, f32 `[N,D]`, as a NumPy array.
///
/// # Errors
/// When the file cannot be written.
pub fn npy_points(points: &Tensor, path: &Path) -> Result<()> {
    let points = points.to_kind(Kind::Float).to_device(Device::Cpu).contiguous();
    let mut out = npy_header("<f4", &points);
    out.extend(
        Vec::<f32>::try_from(points.view(-1))?
            .into_iter()
            .flat_map(f32::to_le_bytes),
    );
    files::write_atomic(path, &out)
}

/// What stands before the numbers of a NumPy array in C order.
fn npy_header(kind: &str, array: &Tensor) -> Vec<u8> {
    let shape: Vec<String> = array.size().iter().map(i64::to_string).collect();
    let dict = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}",
        shape.join(", ")
    );
    // Magic, version and length are 10 bytes; all of the header, with its newline, is a multiple of 64.
    let padded = (10 + dict.len() + 1).next_multiple_of(64) - 10;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((padded as u16).to_le_bytes());
    out.extend(format!("{dict:<width$}\n", width = padded - 1).bytes());
    out
}
