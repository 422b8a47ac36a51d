//! The sizes that a picture's header announces, changed as its format writes them; and notes that
//! change no pixel.

use super::plan::Dice;

/// The file with another width and height in its header; `None` where the format has no room for
/// them.
pub fn resized(extension: &str, bytes: &[u8], w: u32, h: u32) -> Option<Vec<u8>> {
    let mut out = bytes.to_vec();
    let short = |size: u32| size.min(0xffff) as u16;
    match extension {
        "png" => {
            out[16..20].copy_from_slice(&w.to_be_bytes());
            out[20..24].copy_from_slice(&h.to_be_bytes());
            let crc = crc(&out[12..29]);
            out[29..33].copy_from_slice(&crc);
        }
        "jpg" | "jfif" => {
            let at = frame_of_jpeg(bytes)?;
            out[at + 5..at + 7].copy_from_slice(&short(h).to_be_bytes());
            out[at + 7..at + 9].copy_from_slice(&short(w).to_be_bytes());
        }
        "bmp" => {
            out[18..22].copy_from_slice(&w.min(i32::MAX as u32).to_le_bytes());
            out[22..26].copy_from_slice(&h.min(i32::MAX as u32).to_le_bytes());
        }
        "gif" => {
            out[6..8].copy_from_slice(&short(w).to_le_bytes());
            out[8..10].copy_from_slice(&short(h).to_le_bytes());
        }
        "webp" => webp(&mut out, w, h)?,
        "tif" | "tiff" => tiff(&mut out, w, h)?,
        "ppm" | "pgm" => {
            let lines: Vec<&[u8]> = bytes.splitn(3, |b| *b == b'\n').collect();
            out = [lines[0], format!("\n{w} {h}\n").as_bytes(), lines[2]].concat();
        }
        _ => return None,
    }
    Some(out)
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

/// Where the marker of the frame stands, behind segments with lengths.
fn frame_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while !matches!(bytes.get(at + 1)?, 0xc0..=0xc2) {
        at += 2 + usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
    }
    Some(at)
}

fn webp(out: &mut [u8], w: u32, h: u32) -> Option<()> {
    match &out[12..16] {
        b"VP8 " => {
            out[26..28].copy_from_slice(&(w.min(0x3fff) as u16).to_le_bytes());
            out[28..30].copy_from_slice(&(h.min(0x3fff) as u16).to_le_bytes());
        }
        // These write sizes less one, so that none of them is zero.
        b"VP8L" => {
            let less = |size: u32| size.checked_sub(1).map(|s| s.min(0x3fff));
            let rest = u32::from_le_bytes(out[21..25].try_into().unwrap()) & 0xf000_0000;
            out[21..25].copy_from_slice(&(rest | less(w)? | less(h)? << 14).to_le_bytes());
        }
        b"VP8X" => {
            let less = |size: u32| size.checked_sub(1).map(|s| s.min(0xff_ffff).to_le_bytes());
            out[24..27].copy_from_slice(&less(w)?[..3]);
            out[27..30].copy_from_slice(&less(h)?[..3]);
        }
        _ => return None,
    }
    Some(())
}

/// Width and height are the tags 256 and 257 of the first folder, in the byte order of the file's
/// first two bytes.
fn tiff(out: &mut [u8], w: u32, h: u32) -> Option<()> {
    let is_little = out.starts_with(b"II");
    let short = |b: &[u8]| match is_little {
        true => u16::from_le_bytes(b.try_into().unwrap()),
        false => u16::from_be_bytes(b.try_into().unwrap()),
    };
    let long = |n: u32| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
    let from = out[4..8].try_into().unwrap();
    let folder = if is_little {
        u32::from_le_bytes(from)
    } else {
        u32::from_be_bytes(from)
    } as usize;
    for i in 0..usize::from(short(&out[folder..folder + 2])) {
        let entry = folder + 2 + 12 * i;
        let size = match short(&out[entry..entry + 2]) {
            256 => w,
            257 => h,
            _ => continue,
        };
        // Kind 4 is a number of 32 bits.
        let kind = if is_little { [4, 0] } else { [0, 4] };
        out[entry + 2..entry + 4].copy_from_slice(&kind);
        out[entry + 8..entry + 12].copy_from_slice(&long(size));
    }
    Some(())
}

/// The file with a note in it that a reader passes over; `None` where the format is not known to
/// have any.
pub fn noted(extension: &str, bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let n = 2 + dice.below(200);
    let mut words = dice.bytes(n);
    let (at, note) = match extension {
        "png" => {
            let named = [b"teSt".as_slice(), &words].concat();
            (
                33,
                [&(words.len() as u32).to_be_bytes(), named.as_slice(), &crc(&named)].concat(),
            )
        }
        "jpg" | "jfif" => {
            // What looks like the end of the image ends nothing inside a segment.
            words[..2].copy_from_slice(&[0xff, 0xd9]);
            let length = words.len() as u16 + 2;
            (2, [&[0xff, 0xfe], length.to_be_bytes().as_slice(), &words].concat())
        }
        "gif" => {
            let colours = if bytes[10] & 0x80 == 0 {
                0
            } else {
                3 << ((bytes[10] & 7) + 1)
            };
            (
                13 + colours,
                [&[0x21, 0xfe, words.len() as u8], words.as_slice(), &[0]].concat(),
            )
        }
        "ppm" | "pgm" => (3, b"# 12 13 14 of a kind\n".to_vec()),
        _ => return None,
    };
    let mut out = bytes.to_vec();
    out.splice(at..at, note);
    Some(out)
}
