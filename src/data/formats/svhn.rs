//! The cropped digits of SVHN: a .mat file with the images `X` [32,32,3,N] and the labels `y`, 10 for the digit 0.

use std::io::Read;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::mat::{self, Array, Number};
use super::stack::labelled;
use crate::data::{Images, memory};
use crate::error::{Error, Result};

/// Height, width and channels of an image.
const SIZES: [u64; 3] = [32, 32, 3];
const PIXELS: usize = 32 * 32 * 3;

/// How many images are held on the host at once while they are copied to the device.
const BLOCK: i64 = 8192;

const REMEDY: &str = "give train_32x32.mat or test_32x32.mat of SVHN's cropped digits";

/// Reads one of the two files, with `classes` as the names of the digits.
///
/// # Errors
/// The file is missing, no version 5 .mat file, truncated, damaged, or without `X` and `y` of SVHN's form.
pub(in crate::data) fn read(path: &Path, classes: &[&str], device: Device) -> Result<Images> {
    let (mut pixels, mut digits) = (None, None);
    mat::arrays(path, &mut |array, numbers| {
        match array.name.as_str() {
            "X" => pixels = Some(images(path, array, numbers, device)?),
            "y" => digits = Some(labels(path, array, numbers)?),
            _ => {}
        }
        Ok(())
    })?;
    let absent = |name: &str| Error::file(path, format!("holds no array of numbers called `{name}`"), REMEDY);
    let (pixels, digits) = (pixels.ok_or_else(|| absent("X"))?, digits.ok_or_else(|| absent("y"))?);
    labelled(pixels, path, (path, digits), Some(classes))
}

/// u8 `[N,3,32,32]` of numbers whose first index, the row, runs fastest.
fn images(path: &Path, array: &Array, numbers: &mut dyn Read, device: Device) -> Result<Tensor> {
    // MATLAB drops a last size of 1.
    let count = match array.dims[..] {
        [h, w, c] if [h, w, c] == SIZES => 1,
        [h, w, c, n] if [h, w, c] == SIZES && n > 0 => n as i64,
        _ => return Err(unlike(path, array, "images `X` of u8 [32,32,3,N]")),
    };
    if array.number != Number::U8 {
        return Err(unlike(path, array, "images `X` of u8 [32,32,3,N]"));
    }
    memory::ensure(array.bytes.into(), device, path)?;
    let out = Tensor::empty([count, 3, 32, 32], (Kind::Uint8, device));
    let mut block = vec![0; BLOCK.min(count) as usize * PIXELS];
    for from in (0..count).step_by(BLOCK as usize) {
        let n = BLOCK.min(count - from);
        let block = &mut block[..n as usize * PIXELS];
        numbers.read_exact(block).map_err(|e| mat::damaged(path, &e))?;
        let columns = Tensor::from_data_size(block, &[n, 3, 32, 32], Kind::Uint8);
        out.narrow(0, from, n).copy_(&columns.transpose(2, 3));
    }
    Ok(out)
}

/// The digits 0 to 9 of labels 1 to 10.
fn labels(path: &Path, array: &Array, numbers: &mut dyn Read) -> Result<Vec<i64>> {
    let longest = array.dims.iter().max().copied().unwrap_or(0);
    if array.dims.iter().product::<u64>() != longest {
        return Err(unlike(path, array, "labels `y` [N,1]"));
    }
    let mut bytes = Vec::new();
    numbers.read_to_end(&mut bytes).map_err(|e| mat::damaged(path, &e))?;
    let width = array.number.width();
    if bytes.len() as u64 != array.bytes {
        return Err(mat::damaged(path, &std::io::ErrorKind::UnexpectedEof.into()));
    }
    let digit = |b: &[u8]| match array.number.read(b) {
        label if label.fract() == 0.0 && (1.0..=10.0).contains(&label) => Ok(label as i64 % 10),
        label => Err(Error::file(
            path,
            format!("holds the label {label}, expected 1 to 10 (10 is the digit 0)"),
            REMEDY,
        )),
    };
    bytes.chunks_exact(width).map(digit).collect()
}

fn unlike(path: &Path, array: &Array, expected: &str) -> Error {
    let found = format!("expected {expected}, found {:?} {:?}", array.number, array.dims);
    Error::file(path, found, REMEDY)
}
