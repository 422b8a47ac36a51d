//! A file that holds equal images of bytes one after another behind a header, whatever its format.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::data::reading::{check_length, read_rows};
use crate::data::{Images, memory};
use crate::error::{Error, Result};

/// Where the images lie in a file whose header was read and whose length was checked.
#[derive(Debug, Clone)]
pub(in crate::data) struct Stack {
    pub path: PathBuf,
    /// Bytes before the first image.
    pub header: u64,
    pub count: i64,
    /// Channels, height and width.
    pub shape: [i64; 3],
    /// Whether an image is stored as `[H,W,C]` rather than `[C,H,W]`.
    pub channels_last: bool,
}

impl Stack {
    /// The same stack, once it is known to hold images and to be exactly as long as its header
    /// says.
    pub fn checked(self) -> Result<Self> {
        if self.count == 0 || self.shape.contains(&0) {
            let [c, h, w] = self.shape;
            return Err(Error::file(
                &self.path,
                format!(
                    "holds no image: its header announces {} of {c} x {h} x {w} (channels, height, width)",
                    self.count
                ),
                "give a stack of one image or more",
            ));
        }
        // Sizes come from the file: no product of them may wrap before the length is checked.
        let sizes = self.shape.iter().chain([&self.count]);
        let bytes = sizes.fold(1u128, |product, size| product.saturating_mul(*size as u128));
        let expected = bytes.saturating_add(self.header.into());
        check_length(&self.path, expected)?;
        Ok(self)
    }

    fn image_bytes(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }

    /// All images, u8 `[N,C,H,W]`, block by block; a warning tells where they are nearly black.
    pub fn read(&self, device: Device) -> Result<Tensor> {
        memory::ensure(self.count as u128 * self.image_bytes() as u128, device, &self.path)?;
        self.warn_if_nearly_black()?;
        let [c, h, w] = self.shape;
        let stored = if self.channels_last { [h, w, c] } else { self.shape };
        let out = Tensor::empty([self.count, c, h, w], (Kind::Uint8, device));
        read_rows(
            &self.path,
            self.header,
            self.count,
            self.image_bytes(),
            |from, block| {
                let n = (block.len() / self.image_bytes()) as i64;
                let block = Tensor::from_data_size(block, &[n, stored[0], stored[1], stored[2]], Kind::Uint8);
                let block = match self.channels_last {
                    true => block.permute([0, 3, 1, 2]),
                    false => block,
                };
                out.narrow(0, from, n).copy_(&block);
            },
        )?;
        Ok(out)
    }

    /// Warns where no level is above 1: the images were of 0 to 1 before they became bytes, or are
    /// masks.
    ///
    /// Reading ends at the first level above 1.
    pub fn warn_if_nearly_black(&self) -> Result<()> {
        let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
        file.seek(SeekFrom::Start(self.header)).map_err(Error::io(&self.path))?;
        let mut block = vec![0; 1 << 16];
        let mut largest = 0;
        while largest <= 1 {
            match file.read(&mut block).map_err(Error::io(&self.path))? {
                0 => break,
                n => largest = block[..n].iter().copied().fold(largest, u8::max),
            }
        }
        if largest <= 1 {
            log::warn!(
                "{}: the largest level of all images is {largest}, levels go from 0 (black) to 255 (white); \
                 if they were meant to be 0 to 1, multiply by 255 before saving as uint8",
                self.path.display()
            );
        }
        Ok(())
    }

    /// One image after another, as u8 `[C,H,W]` on the host.
    pub fn images(&self) -> Result<StackReader> {
        let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
        file.seek(SeekFrom::Start(self.header)).map_err(Error::io(&self.path))?;
        Ok(StackReader {
            stack: self.clone(),
            file: BufReader::new(file),
            next: 0,
        })
    }
}

/// Reads the images of a [`Stack`] one by one.
pub(in crate::data) struct StackReader {
    pub stack: Stack,
    file: BufReader<File>,
    next: i64,
}

impl Iterator for StackReader {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.stack.count {
            return None;
        }
        self.next += 1;
        let mut bytes = vec![0; self.stack.image_bytes()];
        if let Err(e) = self.file.read_exact(&mut bytes) {
            self.next = self.stack.count;
            return Some(Err(Error::io(&self.stack.path)(e)));
        }
        let [c, h, w] = self.stack.shape;
        Some(Ok(match self.stack.channels_last {
            true => Tensor::from_data_size(&bytes, &[h, w, c], Kind::Uint8)
                .permute([2, 0, 1])
                .contiguous(),
            false => Tensor::from_data_size(&bytes, &[c, h, w], Kind::Uint8),
        }))
    }
}

/// Images with labels from another file, once their counts agree and every label names a class.
///
/// Without `classes`, they are numbered up to the largest label.
pub(in crate::data) fn labelled(
    pixels: Tensor,
    images: &Path,
    (path, labels): (&Path, Vec<i64>),
    classes: Option<&[&str]>,
) -> Result<Images> {
    if labels.len() as i64 != pixels.size()[0] {
        return Err(Error::file(
            path,
            format!(
                "holds {} labels, but {} holds {} images",
                labels.len(),
                images.display(),
                pixels.size()[0]
            ),
            "give the labels that belong to the images",
        ));
    }
    let classes: Vec<String> = match classes {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => numbered(&labels),
    };
    if let Some(wrong) = labels.iter().find(|l| !(0..classes.len() as i64).contains(*l)) {
        return Err(Error::file(
            path,
            format!("holds the label {wrong}, expected 0 to {}", classes.len() as i64 - 1),
            "number the classes from 0",
        ));
    }
    let labels = Tensor::from_slice(&labels).to_device(pixels.device());
    Ok(Images {
        pixels,
        labels: Some(labels),
        classes,
    })
}

/// Beyond so many classes a label is taken for an error.
const MOST_CLASSES: i64 = 1 << 16;

/// Names for the numbers up to the largest label; where that is none, for as many as there could
/// be.
fn numbered(labels: &[i64]) -> Vec<String> {
    let largest = labels.iter().max().copied().unwrap_or(0);
    let count = match largest {
        0..MOST_CLASSES => largest + 1,
        _ => MOST_CLASSES,
    };
    (0..count).map(|class| class.to_string()).collect()
}
