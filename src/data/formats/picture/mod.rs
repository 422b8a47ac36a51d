//! A picture file to pixels of the model's size; what its header announces is checked before it is
//! decoded.

mod bitmap;
mod cost;
mod fit;
mod jpeg;
mod rest;
mod webp;
mod whole;

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::data::config::FitRule;
use crate::data::reading::head;
use crate::error::{Error, Result};

pub use cost::bound_pictures;
pub(in crate::data) use cost::ensure_entry;
pub(in crate::data) use fit::{fit_stack, fit_tensor};

/// Names that are taken for pictures when a folder is read.
const EXTENSIONS: [&str; 13] = [
    "png", "jpg", "jpeg", "jfif", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
];

/// Whether a file's name is that of a picture.
pub(in crate::data) fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Channels beyond grey and colour do not come from pictures.
pub(in crate::data) fn check_channels(place: &Path, input: [i64; 3]) -> Result<()> {
    if matches!(input[0], 1 | 3) {
        return Ok(());
    }
    Err(Error::file(
        place,
        format!("pictures have 1 or 3 channels, the model expects {}", input[0]),
        "give a .npy stack, or a model with 1 or 3 input channels",
    ))
}

/// The bytes `[C,H,W]` of a picture file (of a film or of several pages the first), brought to the
/// shape `input`.
///
/// # Errors
/// The file is missing, damaged, cut off, or takes more memory than is allowed; no rule brings it
/// to the shape.
pub(in crate::data) fn read(path: &Path, input: [i64; 3], rule: FitRule) -> Result<Vec<u8>> {
    let picture = decode(path, &bytes(path)?, input)?;
    fit::fit(picture, input, rule).map_err(|what| unfit(path, what))
}

/// Height and width of a picture as it is shown, from its header alone.
///
/// # Errors
/// The file is missing, or does not begin as a picture does.
pub(in crate::data) fn size(path: &Path) -> Result<(i64, i64)> {
    let bytes = bytes(path)?;
    let mut decoder = decoder(path, &bytes)?;
    let (w, h) = decoder.dimensions();
    let turned = is_turned(decoder.orientation().unwrap_or(Orientation::NoTransforms));
    let (w, h) = if turned { (h, w) } else { (w, h) };
    Ok((i64::from(h), i64::from(w)))
}

/// The file's content, of which no more is read than memory is allowed.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = head(path, cost::most().saturating_add(1))?;
    cost::ensure(path, "the file itself takes", bytes.len() as u128)?;
    Ok(bytes)
}

/// The picture as it is shown, once its header is found to be modest and its data to be complete.
fn decode(path: &Path, bytes: &[u8], input: [i64; 3]) -> Result<DynamicImage> {
    let mut decoder = decoder(path, bytes)?;
    let (w, h) = decoder.dimensions();
    let announced = format!("announces {w} x {h} pixels (width x height), which take");
    cost::ensure(path, &announced, decoder.total_bytes().into())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let format = image::guess_format(bytes).map_err(|e| undecodable(path, &e))?;
    let held = whole::check(format, bytes, &decoder).map_err(|what| damaged(path, &what))?;
    let cost = cost::of(format, bytes.len(), &decoder, held, is_turned(orientation), input[1]);
    cost::ensure(path, &announced, cost)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(cost::most());
    decoder.set_limits(limits).map_err(|e| undecodable(path, &e))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| undecodable(path, &e))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn decoder<'a>(path: &Path, bytes: &'a [u8]) -> Result<impl ImageDecoder + use<'a>> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let decoder = reader.map_err(Error::io(path))?.into_decoder();
    let decoder = decoder.map_err(|e| undecodable(path, &e))?;
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 {
        return Err(damaged(
            path,
            &format!("it announces {w} x {h} pixels (width x height)"),
        ));
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err(Error::file(
            path,
            "holds floating-point numbers, whose black and white nobody knows",
            "save it with 8 or 16 bits a channel",
        ));
    }
    Ok(decoder)
}

fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

fn undecodable(path: &Path, e: &image::ImageError) -> Error {
    Error::file(
        path,
        format!("does not decode as a PNG, JPEG, WebP, BMP, GIF, TIFF or PNM: {e}"),
        REMEDY,
    )
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::file(path, format!("is damaged: {what}"), REMEDY)
}

const REMEDY: &str = "repair, replace or remove the file";

/// The error of a picture or stack entry whose size or channels no rule brings to the model's.
pub(in crate::data) fn unfit(path: &Path, what: String) -> Error {
    Error::file(
        path,
        what,
        "bring it to the model's shape, or choose a fit rule (crop, stretch or pad)",
    )
}
