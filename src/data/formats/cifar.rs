//! The binary format of CIFAR-10 and CIFAR-100: a row holds one or two labels, then 3x32x32 bytes.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::stack::labelled;
use crate::data::Images;
use crate::data::reading::{missing, read_rows};
use crate::error::{Error, Result};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A label, then the image.
    Cifar10,
    /// A coarse label, which is not used, a fine label, then the image.
    Cifar100,
}

const PIXELS: i64 = 3 * 32 * 32;

/// Reads files one after another into one set, with `classes` as the names of the labels.
///
/// # Errors
/// A file is missing, is no whole number of rows, or holds a label beyond the classes.
pub fn read(paths: &[PathBuf], format: Format, classes: &[&str], device: Device) -> Result<Images> {
    let parts = paths
        .iter()
        .map(|path| read_one(path, format, classes, device))
        .collect::<Result<Vec<_>>>()?;
    let pixels: Vec<&Tensor> = parts.iter().map(|p| &p.pixels).collect();
    let labels: Vec<&Tensor> = parts.iter().filter_map(|p| p.labels.as_ref()).collect();
    Ok(Images {
        pixels: Tensor::cat(&pixels, 0),
        labels: Some(Tensor::cat(&labels, 0)),
        classes: classes.iter().map(ToString::to_string).collect(),
    })
}

fn read_one(path: &Path, format: Format, classes: &[&str], device: Device) -> Result<Images> {
    let label_bytes = match format {
        Format::Cifar10 => 1,
        Format::Cifar100 => 2,
    };
    let row = label_bytes + PIXELS;
    let length = std::fs::metadata(path).map_err(|e| missing(path, e))?.len() as i64;
    if length == 0 || length % row != 0 {
        return Err(Error::file(
            path,
            format!("is truncated: expected a whole number of rows of {row} bytes, found {length} bytes"),
            "get the file again",
        ));
    }
    let count = length / row;
    let pixels = Tensor::empty([count, 3, 32, 32], (Kind::Uint8, device));
    let mut labels = Vec::with_capacity(count as usize);
    read_rows(path, 0, count, row as usize, |from, block| {
        labels.extend(
            block
                .iter()
                .skip(label_bytes as usize - 1)
                .step_by(row as usize)
                .map(|b| i64::from(*b)),
        );
        let n = block.len() as i64 / row;
        let rows = Tensor::from_data_size(block, &[n, row], Kind::Uint8);
        let images = rows.narrow(1, label_bytes, PIXELS).reshape([n, 3, 32, 32]);
        pixels.narrow(0, from, n).copy_(&images);
    })?;
    labelled(pixels, path, (path, labels), Some(classes))
}
