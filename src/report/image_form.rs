//! In which form images are written to a path.

use std::path::Path;

use tch::Tensor;

use super::pictures::{columns, images_to_folder, npy};
use super::sheet::sheet;
use crate::error::{Error, Result};
use crate::files;

/// How images are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageForm {
    /// One PNG of all.
    Grid,
    /// A stack, u8 `[N,C,H,W]`.
    Npy,
    /// A file an image.
    Folder,
    /// A grid into a pipe or device that has no ending, such as /dev/stdout.
    Stream,
}

impl ImageForm {
    /// The form that the path's ending names; asked before the images are made, not after.
    ///
    /// # Errors
    /// Images are not written into a file of that ending.
    pub fn of(out: &Path) -> Result<Self> {
        if out.is_dir() {
            return Ok(Self::Folder);
        }
        let other = match out.extension().and_then(|e| e.to_str()) {
            Some("png") => return Ok(Self::Grid),
            Some("npy") => return Ok(Self::Npy),
            None if !out.exists() => return Ok(Self::Folder),
            None if files::is_stream(out) => return Ok(Self::Stream),
            None => "into a file without an ending".into(),
            Some(other) => format!(".{other}"),
        };
        Err(Error::input(
            out.display(),
            format!("cannot write {other}"),
            "name a .png, a .npy, or a folder",
        ))
    }
    /// Refuses, before the images are made, what could not be written after them; `films` says
    /// whether films are to stand beside the output.
    ///
    /// # Errors
    /// A path that cannot be written, and a stream that has no place beside it.
    pub fn ensure_writable(self, out: &Path, films: bool) -> Result<()> {
        match self {
            Self::Folder => Ok(()),
            Self::Stream if films => Err(Error::file(
                out,
                "has no place beside it for the film that --trace asks for",
                "name a .png, a .npy, or a folder",
            )),
            _ => files::ensure_writable(out),
        }
    }

    /// Writes images u8 `[N,C,H,W]`, and the folder that they go into where it is missing; a grid
    /// has `wide` columns, or is a square, and a caption beneath each image where there are any.
    ///
    /// # Errors
    /// When the path cannot be written.
    pub fn write(self, images: &Tensor, captions: &[String], wide: Option<usize>, out: &Path) -> Result<()> {
        files::create_parent(out)?;
        match self {
            Self::Grid | Self::Stream => {
                let wide = wide.unwrap_or_else(|| columns(images.size()[0]));
                sheet(images, captions, wide, out)
            }
            Self::Npy => npy(images, out),
            Self::Folder => images_to_folder(images, out),
        }
    }
}
