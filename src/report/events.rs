//! TensorBoard event files: protocol buffers `Event` in TFRecord framing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tch::Tensor;

use super::metrics::now;
use super::sheet;
use crate::error::{Error, Result};

/// The version of the format that every event file names first.
const VERSION: &str = "brain.Event:2";
/// TFRecord's masking constant.
const MASK: u32 = 0xa282_ead8;

/// An event file of a run; each record is handed to the system at once.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens a new event file in `folder` for a run that has taken `step` updates.
    ///
    /// A resumed run gets a further file, which tells TensorBoard to forget later steps of those before.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn open(folder: &Path, step: u64) -> Result<Self> {
        let (path, file) = create(folder)?;
        let mut events = Self { path, file };
        events.record(0, &bytes_field(3, VERSION.as_bytes()))?;
        events.go_back(step)?;
        Ok(events)
    }

    /// Tells TensorBoard that the run went back to `step`: what it knows of later steps is void.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn go_back(&mut self, step: u64) -> Result<()> {
        // session_log { status: START } purges what is at its step or after.
        self.record(step + 1, &bytes_field(7, &varint_field(1, 1)))
    }

    /// Where the events go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes scalars after `step` updates.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut field = bytes_field(1, tag.as_bytes());
            field.push(2 << 3 | 5);
            field.extend((*value as f32).to_le_bytes());
            summary.extend(bytes_field(1, &field));
        }
        self.record(step, &bytes_field(5, &summary))
    }

    /// Writes `images` (u8 `[N,C,H,W]`, C 1 or 3) as one grid after `step` updates, with `captions`
    /// as [`sheet`] has them.
    ///
    /// # Errors
    /// Where the tensor is of another form or the file cannot be written.
    pub fn images(&mut self, step: u64, tag: &str, images: &Tensor, captions: &[String], columns: usize) -> Result<()> {
        let canvas = sheet::canvas(images, captions, columns, &self.path)?;
        let mut image = varint_field(1, canvas.height.into());
        image.extend(varint_field(2, canvas.width.into()));
        image.extend(varint_field(3, canvas.channels as u64));
        image.extend(bytes_field(4, &canvas.png(&self.path)?));
        let mut value = bytes_field(1, tag.as_bytes());
        value.extend(bytes_field(4, &image));
        self.record(step, &bytes_field(5, &bytes_field(1, &value)))
    }

    fn record(&mut self, step: u64, what: &[u8]) -> Result<()> {
        let mut event = vec![1 << 3 | 1];
        event.extend(now().to_le_bytes());
        event.extend(varint_field(2, step));
        event.extend(what);
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(&event);
        record.extend(masked_crc(&event).to_le_bytes());
        self.file.write_all(&record).map_err(Error::io(&self.path))
    }
}

/// TensorBoard reads a folder's files in the order of their names, so these begin with the time.
fn create(folder: &Path) -> Result<(PathBuf, File)> {
    let (seconds, process) = (now() as u64, std::process::id());
    for n in 0.. {
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.{n}.{process}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (path.clone(), file)).map_err(Error::io(path)),
        }
    }
    unreachable!("one of all numbers is free")
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn varint_field(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    out.extend(varint(value));
    out
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}
