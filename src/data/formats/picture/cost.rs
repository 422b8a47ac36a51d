//! How much memory a picture takes while it is read, and the bound on it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use image::{ColorType, ImageDecoder, ImageFormat};

use crate::data::memory::mib;
use crate::error::{Error, Result};

static MOST: AtomicU64 = AtomicU64::new(512 << 20);

/// Sets how many bytes of memory one picture may take while it is read; 512 MiB unless set.
///
/// The bound belongs to the process, as its memory does. Each thread that decodes may take as much.
pub fn bound_pictures(bytes: u64) {
    MOST.store(bytes, Ordering::Relaxed);
}

pub(super) fn most() -> u64 {
    MOST.load(Ordering::Relaxed)
}

/// Refuses what takes more memory than a picture may; `what` comes before the amount.
pub(super) fn ensure(path: &Path, what: &str, bytes: u128) -> Result<()> {
    if bytes <= most().into() {
        return Ok(());
    }
    Err(Error::file(
        path,
        format!(
            "{what} {} of memory; a picture may take {}",
            mib(bytes),
            mib(most().into())
        ),
        "remove the file, bring it to fewer pixels, or allow more by --max-picture-mib",
    ))
}

/// Refuses the images of a stack, `[C,H,W]`, of which one takes more memory than a picture may.
pub(in crate::data) fn ensure_entry(path: &Path, shape: [i64; 3], rows: i64) -> Result<()> {
    let [c, h, w] = shape.map(|size| size as u128);
    // The file's bytes, the tensor, three colours twice, grey, and the rows half scaled.
    let bytes = (2 * c + 7).saturating_mul(h * w).saturating_add(half_scaled(w, rows));
    ensure(path, "an image of the stack takes", bytes)
}

/// The most bytes that are held at once from the file to the pixels that the model takes.
///
/// `held` is what the format keeps a pixel while it decodes, `rows` the height of the model's
/// images.
pub(super) fn of(
    format: ImageFormat,
    file: usize,
    decoder: &impl ImageDecoder,
    held: u128,
    is_turned: bool,
    rows: i64,
) -> u128 {
    let (w, h) = decoder.dimensions();
    // Formats that work in blocks fill the last ones.
    let pixels = u128::from(w.next_multiple_of(16)) * u128::from(h.next_multiple_of(16));
    let decoded = u128::from(decoder.total_bytes());
    // The decoder of JPEG copies the file.
    let files = if format == ImageFormat::Jpeg { 2 } else { 1 };
    let decoding = files * file as u128 + decoded + at_work(format, decoded, pixels) + held * pixels;
    let turning = if is_turned { 2 * decoded } else { 0 };
    let copies = match decoder.color_type() {
        ColorType::Rgb8 => 0,
        colour if colour.has_alpha() => 7 * pixels,
        _ => 3 * pixels,
    };
    let converting = decoded + copies + pixels + half_scaled(w.into(), rows);
    decoding.max(turning).max(converting)
}

/// What a decoder keeps beside its result.
fn at_work(format: ImageFormat, decoded: u128, pixels: u128) -> u128 {
    match format {
        ImageFormat::WebP => 6 * pixels,
        ImageFormat::Gif => 5 * pixels,
        ImageFormat::Tiff => decoded,
        _ => pixels,
    }
}

/// Between the two directions of scaling a pixel is four f32.
fn half_scaled(width: u128, rows: i64) -> u128 {
    width * rows as u128 * 16
}
