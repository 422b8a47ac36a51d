//! MATLAB's .mat format, version 5 (what `-v6` and `-v7` save): arrays of numbers, plain or compressed by zlib.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::data::reading::{head, missing};
use crate::error::{Error, Result};

/// Bytes before the first element.
const HEADER: u64 = 128;

/// No header of an array of numbers has parts as long as this.
const LONGEST: u32 = 1 << 16;

/// No more bytes come out of one that zlib packed.
const MOST_PACKED: u64 = 1032;

/// Element types of the format.
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;

/// The class numbers of arrays of plain numbers, double to uint64.
const NUMERIC: std::ops::RangeInclusive<u8> = 6..=15;

/// An array whose numbers come next, stored column by column: the first index runs fastest.
#[derive(Debug)]
pub(super) struct Array {
    pub name: String,
    pub dims: Vec<u64>,
    pub number: Number,
    /// How long the numbers are.
    pub bytes: u64,
}

/// How a number is stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Number {
    fn of(element: u32) -> Option<Self> {
        Some(match element {
            1 => Self::I8,
            2 => Self::U8,
            3 => Self::I16,
            4 => Self::U16,
            5 => Self::I32,
            6 => Self::U32,
            7 => Self::F32,
            9 => Self::F64,
            _ => return None,
        })
    }

    pub fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The number in the first bytes of `b`, of which there are enough.
    pub fn read(self, b: &[u8]) -> f64 {
        match self {
            Self::I8 => f64::from(b[0] as i8),
            Self::U8 => f64::from(b[0]),
            Self::I16 => f64::from(i16::from_le_bytes([b[0], b[1]])),
            Self::U16 => f64::from(u16::from_le_bytes([b[0], b[1]])),
            Self::I32 => f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::U32 => f64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::F32 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::F64 => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
        }
    }
}

/// What takes an array's numbers from the reader, or leaves them.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&Array, &mut dyn Read) -> Result<()>;

/// Goes through the file and shows every array of real or complex numbers to `visit`; other variables are passed over.
///
/// # Errors
/// The file is of another format or version, truncated or damaged; those of `visit`.
pub(super) fn arrays(path: &Path, visit: Visit) -> Result<()> {
    check_header(path)?;
    let mut file = File::open(path).map_err(|e| missing(path, e))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut at = HEADER;
    while at < length {
        file.seek(SeekFrom::Start(at)).map_err(Error::io(path))?;
        let [element, bytes] = words(&mut file).map_err(|e| damaged(path, &e))?;
        at += 8 + u64::from(bytes);
        if at > length {
            return Err(truncated(path));
        }
        let body = BufReader::new((&mut file).take(bytes.into()));
        match element {
            MATRIX => matrix(path, body, bytes.into(), visit)?,
            COMPRESSED => compressed(path, ZlibDecoder::new(body), bytes.into(), visit)?,
            _ => {}
        }
    }
    Ok(())
}

/// The one matrix that a compressed element of so many bytes holds; its checksum is looked at as
/// well.
fn compressed(path: &Path, mut body: impl Read, bytes: u64, visit: Visit) -> Result<()> {
    let [element, _] = words(&mut body).map_err(|e| damaged(path, &e))?;
    if element == MATRIX {
        matrix(path, &mut body, bytes * MOST_PACKED, visit)?;
        io::copy(&mut body, &mut io::sink()).map_err(|e| damaged(path, &e))?;
    }
    Ok(())
}

/// An array that can have `most` bytes at most, by what the file holds.
fn matrix(path: &Path, mut body: impl Read, most: u64, visit: Visit) -> Result<()> {
    let fault = |e: io::Error| damaged(path, &e);
    let (_, flags) = part(&mut body).map_err(fault)?;
    let (_, dims) = part(&mut body).map_err(fault)?;
    let (_, name) = part(&mut body).map_err(fault)?;
    if !flags.first().is_some_and(|class| NUMERIC.contains(class)) {
        return Ok(());
    }
    let (element, bytes, inline) = tag(&mut body).map_err(fault)?;
    let Some(number) = Number::of(element) else {
        return Ok(());
    };
    let array = Array {
        name: String::from_utf8_lossy(&name).into_owned(),
        dims: dims
            .chunks_exact(4)
            .map(|d| u64::from(u32::from_le_bytes([d[0], d[1], d[2], d[3]])))
            .collect(),
        number,
        bytes: bytes.into(),
    };
    // Sizes come from the file: no product of them may wrap.
    let count = array
        .dims
        .iter()
        .fold(1u128, |product, d| product.saturating_mul((*d).into()));
    if count.saturating_mul(number.width() as u128) != u128::from(array.bytes) {
        let what = format!(
            "is damaged: `{}` of sizes {:?} does not have {} bytes",
            array.name, array.dims, array.bytes
        );
        return Err(Error::file(path, what, REMEDY));
    }
    if array.bytes > most {
        return Err(truncated(path));
    }
    match inline {
        Some(numbers) => visit(&array, &mut Cursor::new(numbers)),
        None => visit(&array, &mut body.take(array.bytes)),
    }
}

/// A short part of a matrix, with the padding behind it taken.
fn part(body: &mut impl Read) -> io::Result<(u32, Vec<u8>)> {
    let (element, bytes, inline) = tag(body)?;
    if let Some(numbers) = inline {
        return Ok((element, numbers));
    }
    if bytes > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the header of an array is too long",
        ));
    }
    let mut numbers = vec![0; bytes.next_multiple_of(8) as usize];
    body.read_exact(&mut numbers)?;
    numbers.truncate(bytes as usize);
    Ok((element, numbers))
}

/// Type and length of a part; one of at most four bytes stands inside the tag itself.
fn tag(body: &mut impl Read) -> io::Result<(u32, u32, Option<Vec<u8>>)> {
    let [first, second] = words(body)?;
    let (element, short) = (first & 0xffff, first >> 16);
    match short {
        0 => Ok((element, second, None)),
        1..=4 => Ok((element, short, Some(second.to_le_bytes()[..short as usize].to_vec()))),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a tag of the format has no such length",
        )),
    }
}

fn words(from: &mut impl Read) -> io::Result<[u32; 2]> {
    let mut b = [0; 8];
    from.read_exact(&mut b)?;
    Ok([
        u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    ])
}

fn check_header(path: &Path) -> Result<()> {
    let bytes = head(path, HEADER)?;
    let wrong = |what: &str| {
        Err(Error::file(
            path,
            what,
            "save it with `save -v7`, on a little-endian machine",
        ))
    };
    if bytes.starts_with(b"MATLAB 7.3") {
        return wrong("is a .mat file of version 7.3 (HDF5); expected version 5");
    }
    if !bytes.starts_with(b"MATLAB 5.0") {
        return Err(Error::file(path, "is not a MATLAB file of version 5", REMEDY));
    }
    match bytes.get(124..128) {
        Some([_, _, b'I', b'M']) => Ok(()),
        Some([_, _, b'M', b'I']) => wrong("is a big-endian .mat file"),
        Some(_) => Err(Error::file(
            path,
            "is damaged: its header has no mark of byte order",
            REMEDY,
        )),
        None => Err(truncated(path)),
    }
}

const REMEDY: &str = "get the file again";

fn truncated(path: &Path) -> Error {
    Error::file(
        path,
        "is truncated: an element of the .mat file is longer than what is left",
        REMEDY,
    )
}

/// What reading a part came upon: the end of the part, a broken compression, or the machine's own trouble.
pub(super) fn damaged(path: &Path, e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => truncated(path),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::file(path, format!("is damaged: {e}"), REMEDY)
        }
        kind => Error::io(path)(io::Error::new(kind, e.to_string())),
    }
}
