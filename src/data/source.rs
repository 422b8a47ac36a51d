//! The ways a data set comes: a named set, a stack in a file, a folder, or drawn by code.

use std::path::{Path, PathBuf};

use tch::Device;

use super::config::{Dataset, FolderConfig, StackConfig, StrokesConfig, ToyConfig};
use super::formats::stack::{Stack, labelled};
use super::formats::{idx, npy};
use super::named::{self, Named};
use super::reading::head;
use super::split::SourceRecord;
use super::{Images, hash};
use crate::error::{Error, Result};

/// A data set by the way it is read.
pub(super) enum Source<'a> {
    Named(&'static Named),
    Stack(StackFiles<'a>),
    Strokes(&'a StrokesConfig),
    Folder(&'a FolderConfig),
    Toy(&'a ToyConfig),
    None,
}

impl<'a> Source<'a> {
    pub fn of(dataset: &'a Dataset) -> Self {
        match dataset {
            Dataset::None => Self::None,
            Dataset::Mnist => Self::Named(&named::MNIST),
            Dataset::FashionMnist => Self::Named(&named::FASHION_MNIST),
            Dataset::Cifar10 => Self::Named(&named::CIFAR10),
            Dataset::Cifar100 => Self::Named(&named::CIFAR100),
            Dataset::Svhn => Self::Named(&named::SVHN),
            Dataset::Strokes(cfg) => Self::Strokes(cfg),
            Dataset::Folder(cfg) => Self::Folder(cfg),
            Dataset::Toy(cfg) => Self::Toy(cfg),
            Dataset::Npy(files) => Self::Stack(StackFiles { files, is_npy: true }),
            Dataset::Idx(files) => Self::Stack(StackFiles { files, is_npy: false }),
        }
    }
}

/// What a data set is called in a table.
pub fn name(dataset: &Dataset) -> String {
    let last = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    match Source::of(dataset) {
        Source::Named(set) => set.name.into(),
        Source::Strokes(_) => "strokes".into(),
        Source::Toy(t) => t.density.name().into(),
        Source::Folder(f) => last(&f.path).unwrap_or_else(|| f.path.display().to_string()),
        Source::Stack(files) => last(&files.files.images).unwrap_or_default(),
        Source::None => "none".into(),
    }
}

/// The data set that lies at a path: a folder of pictures, or a stack by what its file begins with.
///
/// # Errors
/// There is nothing, or a file that is no stack.
pub fn dataset_at(path: &Path) -> Result<Dataset> {
    if path.is_dir() {
        return Ok(Dataset::Folder(FolderConfig {
            path: path.into(),
            test: None,
            fit: None,
        }));
    }
    let files = StackConfig {
        images: path.into(),
        labels: None,
        test_images: None,
        test_labels: None,
    };
    let start = head(path, 6)?;
    if start.starts_with(npy::MAGIC) {
        Ok(Dataset::Npy(files))
    } else if start.starts_with(&[0, 0, 8]) {
        Ok(Dataset::Idx(files))
    } else {
        Err(Error::file(
            path,
            "is neither a folder nor a stack of u8 images (.npy, idx)",
            "name a folder of pictures, or a stack",
        ))
    }
}

/// The error of an experiment whose `data.dataset` is `none`, where images are needed.
pub(super) fn no_images() -> Error {
    Error::input("data.dataset", "is `none`: there are no images here", "name a data set")
}

/// The four files of a stack, whichever its format.
pub(super) struct StackFiles<'a> {
    files: &'a StackConfig,
    is_npy: bool,
}

impl StackFiles<'_> {
    fn stack(&self, path: &Path, input: [i64; 3]) -> Result<Stack> {
        if self.is_npy {
            npy::stack(path, input)
        } else {
            idx::stack(path)
        }
    }

    /// The shape that all headers agree on.
    pub fn shape(&self, input: [i64; 3]) -> Result<[i64; 3]> {
        let shape = self.stack(&self.files.images, input)?.shape;
        if let Some(path) = &self.files.test_images {
            let test = self.stack(path, input)?.shape;
            if test != shape {
                return Err(Error::file(
                    path,
                    format!(
                        "the test images are {test:?} (channels, height, width), those of {} are {shape:?}",
                        self.files.images.display()
                    ),
                    "give training and test images of one shape",
                ));
            }
        }
        Ok(shape)
    }

    fn read(&self, images: &Path, labels: &Option<PathBuf>, input: [i64; 3], device: Device) -> Result<Images> {
        let stack = self.stack(images, input)?;
        let Some(path) = labels else {
            return Ok(Images::unlabelled(stack.read(device)?));
        };
        let labels = if self.is_npy {
            npy::labels(path)?
        } else {
            idx::labels(path)?
        };
        labelled(stack.read(device)?, images, (path, labels), None)
    }

    /// The training images.
    pub fn read_train(&self, input: [i64; 3], device: Device) -> Result<Images> {
        self.read(&self.files.images, &self.files.labels, input, device)
    }

    /// The test images, where they have a file of their own.
    pub fn read_test(&self, input: [i64; 3], device: Device) -> Result<Option<Images>> {
        let images = self.files.test_images.as_ref();
        images
            .map(|images| self.read(images, &self.files.test_labels, input, device))
            .transpose()
    }

    /// The test images, or all where there are none.
    pub fn read_last(&self, input: [i64; 3], device: Device) -> Result<Images> {
        match self.read_test(input, device)? {
            Some(test) => Ok(test),
            None => self.read_train(input, device),
        }
    }

    /// The hashes of all files.
    pub fn records(&self) -> Result<Vec<SourceRecord>> {
        let files = [
            Some(&self.files.images),
            self.files.labels.as_ref(),
            self.files.test_images.as_ref(),
            self.files.test_labels.as_ref(),
        ];
        let record = |path: &PathBuf| Ok(SourceRecord::content(path, hash::file(path)?));
        files.into_iter().flatten().map(record).collect()
    }
}
