//! NumPy's .npy format: a short Python dictionary with kind and sizes, then the numbers.

use std::path::Path;

use super::stack::Stack;
use crate::data::reading::{check_length, head};
use crate::error::{Error, Result};

/// What every .npy file begins with.
pub(in crate::data) const MAGIC: &[u8] = b"\x93NUMPY";

/// No header of plain numbers is as long as this.
const LONGEST: usize = 1 << 16;

/// A header's content.
struct Header {
    /// Bytes before the first number.
    length: usize,
    descr: String,
    shape: Vec<i64>,
}

/// Reads the header of a stack of u8 images: `[N,H,W]`, `[N,C,H,W]` or `[N,H,W,C]`.
///
/// Of the two readings of four sizes the one that gives `input` is taken, else the one with 1 or 3 channels.
pub(in crate::data) fn stack(path: &Path, input: [i64; 3]) -> Result<Stack> {
    let header = header(path)?;
    if !["|u1", "<u1", "=u1", "u1"].contains(&header.descr.as_str()) {
        return Err(Error::file(
            path,
            format!(
                "expected images of u8 (`|u1`) from 0 (black) to 255 (white), found numbers of kind `{}`",
                header.descr
            ),
            match header.descr.trim_start_matches(['|', '<', '=', '>']) {
                "b1" => "save `images.astype(numpy.uint8) * 255`",
                kind if kind.starts_with('f') => {
                    "bring them to 0..255 (`images * 255` where they are 0 to 1), then save `images.round().astype(numpy.uint8)`"
                }
                _ => "bring them to 0..255, then save `images.astype(numpy.uint8)`",
            },
        ));
    }
    let (shape, channels_last) = match header.shape[..] {
        [_, h, w] => ([1, h, w], false),
        [_, a, b, c] => layout([a, b, c], input),
        _ => {
            return Err(Error::file(
                path,
                format!(
                    "expected the shape [N,H,W], [N,C,H,W] or [N,H,W,C], found {:?}",
                    header.shape
                ),
                "reshape the array",
            ));
        }
    };
    Stack {
        path: path.into(),
        header: header.length as u64,
        count: header.shape[0],
        shape,
        channels_last,
    }
    .checked()
}

/// The shape `[C,H,W]` of an image of three sizes, and whether its channels come last.
fn layout(sizes: [i64; 3], input: [i64; 3]) -> ([i64; 3], bool) {
    let [a, b, c] = sizes;
    let turned = [c, a, b];
    let is_picture = |channels: i64| channels == 1 || channels == 3;
    let last = sizes != input && (turned == input || (!is_picture(a) && is_picture(c)));
    if last { (turned, true) } else { (sizes, false) }
}

/// Reads integer labels, `[N]`.
pub(in crate::data) fn labels(path: &Path) -> Result<Vec<i64>> {
    let header = header(path)?;
    let [count] = header.shape[..] else {
        return Err(Error::file(
            path,
            format!("expected labels of the shape [N], found {:?}", header.shape),
            "save one integer an image",
        ));
    };
    let (convert, width): (fn(&[u8]) -> i128, usize) = match header.descr.trim_start_matches(['|', '<', '=']) {
        "u1" => (|b| i128::from(b[0]), 1),
        "i1" => (|b| i128::from(b[0] as i8), 1),
        "u2" => (|b| i128::from(u16::from_le_bytes(fixed(b))), 2),
        "i2" => (|b| i128::from(i16::from_le_bytes(fixed(b))), 2),
        "u4" => (|b| i128::from(u32::from_le_bytes(fixed(b))), 4),
        "i4" => (|b| i128::from(i32::from_le_bytes(fixed(b))), 4),
        "u8" => (|b| i128::from(u64::from_le_bytes(fixed(b))), 8),
        "i8" => (|b| i128::from(i64::from_le_bytes(fixed(b))), 8),
        _ => {
            return Err(Error::file(
                path,
                format!(
                    "expected labels that are little-endian integers, found numbers of kind `{}`",
                    header.descr
                ),
                "save `labels.astype(numpy.int64)`",
            ));
        }
    };
    check_length(path, header.length as u128 + count as u128 * width as u128)?;
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let number = |b: &[u8]| {
        let label = convert(b);
        label.try_into().map_err(|_| {
            Error::file(
                path,
                format!("holds the label {label}, which numbers no class"),
                "number the classes from 0",
            )
        })
    };
    bytes[header.length..].chunks_exact(width).map(number).collect()
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("chunks have the width of the number")
}

fn header(path: &Path) -> Result<Header> {
    let wrong = |what: String| Error::file(path, what, "write the array with `numpy.save`");
    let start = head(path, 12)?;
    if !start.starts_with(MAGIC) {
        return Err(wrong(format!(
            "wrong magic number: expected a .npy file (\\x93NUMPY), found {:02x?}",
            &start[..start.len().min(6)]
        )));
    }
    let short = || wrong("is truncated: the .npy header does not end".into());
    let major = *start.get(6).ok_or_else(short)?;
    let (prefix, length) = match (major, &start[8.min(start.len())..]) {
        (1, [a, b, ..]) => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        (2 | 3, [a, b, c, d]) => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        (1..=3, _) => return Err(short()),
        _ => {
            return Err(wrong(format!(
                "expected version 1, 2 or 3 of the .npy format, found {major}"
            )));
        }
    };
    if length > LONGEST {
        return Err(wrong(format!(
            "announces a header of {length} bytes, expected {LONGEST} at most"
        )));
    }
    let bytes = head(path, (prefix + length) as u64)?;
    if bytes.len() < prefix + length {
        return Err(short());
    }
    let text = String::from_utf8_lossy(&bytes[prefix..]);
    let (descr, fortran, shape) =
        parse(&text).ok_or_else(|| wrong(format!("the .npy header cannot be read: {}", text.trim())))?;
    if fortran {
        return Err(wrong("is stored column by column (Fortran order)".into()));
    }
    Ok(Header {
        length: prefix + length,
        descr,
        shape,
    })
}

/// `{'descr': '|u1', 'fortran_order': False, 'shape': (10, 28, 28), }` to its three values.
fn parse(text: &str) -> Option<(String, bool, Vec<i64>)> {
    let value = |key: &str| {
        let rest = text.split_once(&format!("'{key}'"))?.1;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let descr = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
    let fortran = value("fortran_order")?.starts_with("True");
    let shape = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse::<u32>().ok().map(i64::from))
        .collect::<Option<Vec<_>>>()?;
    Some((descr, fortran, shape))
}
