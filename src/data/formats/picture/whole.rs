//! Whether a picture's data are all there: what a decoder does not look at, or makes up where it is
//! missing.
//!
//! Bytes behind the end of a picture are no damage.

use std::io::Cursor;

use image::{ImageDecoder, ImageFormat};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::rest::{Damage, Rest, early};
use super::{bitmap, jpeg, webp};

/// Goes through the file by the rules of its format; returns the bytes a pixel that the format
/// keeps while it decodes.
pub(super) fn check(format: ImageFormat, bytes: &[u8], decoder: &impl ImageDecoder) -> Result<u128, Damage> {
    match format {
        ImageFormat::Jpeg => return jpeg::check(bytes),
        ImageFormat::WebP => webp::check(bytes)?,
        ImageFormat::Bmp => bitmap::check(bytes)?,
        ImageFormat::Png => png(bytes)?,
        ImageFormat::Gif => gif(bytes)?,
        ImageFormat::Tiff => tiff(bytes)?,
        ImageFormat::Pnm => plain_pnm(bytes, decoder)?,
        _ => {}
    }
    Ok(0)
}

/// Chunks of length, name, data and checksum, to the one called IEND.
fn png(bytes: &[u8]) -> Result<(), Damage> {
    let mut rest = Rest(bytes);
    rest.take(8, "the signature")?;
    loop {
        let length = u32::from_be_bytes(rest.array("the head of a chunk")?);
        let name = rest.take(4, "the head of a chunk")?;
        rest.take(length as usize, "a chunk")?;
        rest.take(4, "the checksum of a chunk")?;
        if name == b"IEND" {
            return Ok(());
        }
    }
}

/// Blocks to the end of the first image; later ones are not read.
fn gif(bytes: &[u8]) -> Result<(), Damage> {
    let mut rest = Rest(bytes);
    rest.take(10, "the header")?;
    let [flags, _, _] = rest.array("the header")?;
    rest.take(colours(flags), "the colours")?;
    loop {
        match rest.byte("the blocks before the first image")? {
            0x21 => {
                rest.take(1, "an extension")?;
                sub_blocks(&mut rest, "an extension")?;
            }
            0x2c => {
                rest.take(8, "the head of the first image")?;
                let flags = rest.byte("the head of the first image")?;
                rest.take(colours(flags) + 1, "the colours of the first image")?;
                return sub_blocks(&mut rest, "the first image");
            }
            0x3b => return Err("it holds no image".into()),
            _ => {}
        }
    }
}

fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn sub_blocks(rest: &mut Rest, part: &str) -> Result<(), Damage> {
    while let length @ 1.. = rest.byte(part)? {
        rest.take(length.into(), part)?;
    }
    Ok(())
}

/// The values of all tags of the first page, and the strips or tiles of its pixels.
fn tiff(bytes: &[u8]) -> Result<(), Damage> {
    let fault = |e: tiff::TiffError| format!("its TIFF tags cannot be read: {e}");
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(fault)?;
    for tag in decoder.tag_iter() {
        tag.map_err(fault)?;
    }
    let is_jpeg = decoder.find_tag_unsigned(Tag::Compression).map_err(fault)? == Some(7u16);
    for (offsets, lengths) in [
        (Tag::StripOffsets, Tag::StripByteCounts),
        (Tag::TileOffsets, Tag::TileByteCounts),
    ] {
        let mut numbers = |tag| decoder.find_tag_unsigned_vec::<u64>(tag).map_err(fault);
        let (offsets, lengths) = (numbers(offsets)?, numbers(lengths)?);
        for (offset, length) in offsets.iter().flatten().zip(lengths.iter().flatten()) {
            let from = bytes.get(*offset as usize..).ok_or_else(|| early("the pixels"))?;
            let part = Rest(from).take(*length as usize, "the pixels")?;
            if is_jpeg {
                jpeg::check(part)?;
            }
        }
    }
    Ok(())
}

/// Numbers written as text: the last one is known to be whole by what follows it. Others a decoder
/// counts.
fn plain_pnm(bytes: &[u8], decoder: &impl ImageDecoder) -> Result<(), Damage> {
    if !matches!(bytes, [b'P', b'2' | b'3', ..]) {
        return Ok(());
    }
    let (w, h) = decoder.dimensions();
    let channels = u64::from(decoder.color_type().channel_count());
    // Width, height and the largest number come first.
    let mut missing = (u64::from(w) * u64::from(h)).saturating_mul(channels) + 3;
    let mut rest = bytes[2..].iter();
    let mut in_number = false;
    while let Some(byte) = rest.next() {
        if *byte == b'#' {
            rest.by_ref().find(|b| **b == b'\n');
        }
        let ends = byte.is_ascii_whitespace() || *byte == b'#';
        if in_number && ends {
            missing -= 1;
        }
        if missing == 0 {
            return Ok(());
        }
        in_number = !ends;
    }
    Err(early("the numbers, the last of which has nothing behind it"))
}
