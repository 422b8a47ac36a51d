//! A folder of pictures: which files belong to it, their labels, and reading them with bounded memory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use tch::{Device, Kind, Tensor};

use super::picture;
use crate::data::config::{Dataset, FitRule};
use crate::data::walk::{Kinds, Walk};
use crate::data::{Images, draw, memory};
use crate::error::{Error, Result};

/// How much is held on the host at once while pictures are decoded.
const BLOCK: i64 = 32 << 20;

/// Looks through the folders of a data set that are there, without reading a picture.
///
/// # Errors
/// A folder holds no picture, or a class has only files of other kinds.
pub fn look_through(dataset: &Dataset) -> Result<()> {
    let Dataset::Folder(folder) = dataset else {
        return Ok(());
    };
    let named = [Some(&folder.path), folder.test.as_ref()];
    let there = named.into_iter().flatten().filter(|path| path.is_dir());
    there
        .map(PathBuf::as_path)
        .try_for_each(|path| Listing::new(path).map(drop))
}

/// The picture files below a folder, sorted by path, with what their sub-folders say.
#[derive(Clone)]
pub(in crate::data) struct Listing {
    pub root: PathBuf,
    pub files: Vec<PathBuf>,
    /// The sub-folders' names, sorted; empty unless every picture lies in one.
    pub classes: Vec<String>,
}

impl Listing {
    /// Looks through `root` and all folders below, and tells by a warning what was passed over.
    ///
    /// # Errors
    /// The folder is missing, cannot be read, or holds no picture; a class has only files of other
    /// kinds.
    pub fn new(root: &Path) -> Result<Self> {
        let walk = Walk::through(root)?;
        let listing = Self::of(root, &walk)?;
        listing.ensure_no_class_is_lost(&walk)?;
        warn_of_left_out(root, &walk);
        Ok(listing)
    }

    /// The same where nobody asks for classes: a sub-folder may hold only files of other kinds.
    ///
    /// # Errors
    /// The folder is missing, cannot be read, or holds no picture.
    pub fn without_classes(root: &Path) -> Result<Self> {
        let walk = Walk::through(root)?;
        let listing = Self::of(root, &walk)?;
        warn_of_left_out(root, &walk);
        Ok(listing)
    }

    fn of(root: &Path, walk: &Walk) -> Result<Self> {
        if walk.pictures.is_empty() {
            return Err(no_picture(root, walk));
        }
        let names: Option<BTreeSet<String>> = walk.pictures.iter().map(|f| class_of(root, f)).collect();
        Ok(Self {
            root: root.into(),
            files: walk.pictures.clone(),
            classes: names.unwrap_or_default().into_iter().collect(),
        })
    }

    /// A class whose files are all of other kinds would vanish, and the others be numbered anew.
    fn ensure_no_class_is_lost(&self, walk: &Walk) -> Result<()> {
        if self.classes.is_empty() {
            return Ok(());
        }
        let of = |file: &Path| class_of(&self.root, file).filter(|name| self.classes.binary_search(name).is_err());
        let Some(lost) = walk.other_files().find_map(|(file, _)| of(file)) else {
            return Ok(());
        };
        let kinds: Kinds = walk
            .other_files()
            .filter(|(file, _)| of(file).as_ref() == Some(&lost))
            .collect();
        Err(Error::file(
            &self.root,
            format!("the sub-folder `{lost}` is a class without a picture: {kinds}; {EXPECTED}"),
            format!("convert the files of `{lost}`, or take the sub-folder away"),
        ))
    }

    /// The same folder with only the files at the indices `at`.
    pub fn select(&self, at: &[i64]) -> Self {
        Self {
            root: self.root.clone(),
            files: at.iter().map(|i| self.files[*i as usize].clone()).collect(),
            classes: self.classes.clone(),
        }
    }

    /// The sorted indices of `limit` of the files, drawn by `seed`, each class by its share; none
    /// where no limit applies.
    pub fn drawn(&self, limit: Option<usize>, seed: u64) -> Result<Option<Vec<i64>>> {
        let Some(count) = limit.filter(|n| *n < self.files.len()) else {
            return Ok(None);
        };
        let labels = self.labels(&self.classes)?;
        let labels = labels.unwrap_or_else(|| vec![0; self.files.len()]);
        Ok(Some(draw::indices(&labels, count, seed)))
    }

    /// Decodes all files on every core, in order, and brings them to the shape `input`; labels are numbers of `classes`.
    ///
    /// # Errors
    /// The first file that does not decode or fit, or whose sub-folder is none of `classes`.
    pub fn read(&self, input: [i64; 3], rule: FitRule, classes: &[String], device: Device) -> Result<Images> {
        picture::check_channels(&self.root, input)?;
        let labels = self.labels(classes)?;
        let [c, h, w] = input;
        let bytes = (c * h * w) as usize;
        memory::ensure(self.files.len() as u128 * bytes as u128, device, &self.root)?;
        let out = Tensor::empty([self.files.len() as i64, c, h, w], (Kind::Uint8, device));
        let at_once = (BLOCK / bytes as i64).max(1) as usize;
        for (i, files) in self.files.chunks(at_once).enumerate() {
            let block = decode(files, input, rule)?;
            let block = Tensor::from_data_size(&block, &[files.len() as i64, c, h, w], Kind::Uint8);
            out.narrow(0, (i * at_once) as i64, files.len() as i64).copy_(&block);
        }
        Ok(Images {
            pixels: out,
            labels: labels.map(|l| Tensor::from_slice(&l).to_device(device)),
            classes: classes.to_vec(),
        })
    }

    fn labels(&self, classes: &[String]) -> Result<Option<Vec<i64>>> {
        if classes.is_empty() {
            return Ok(None);
        }
        let number = |file: &PathBuf| {
            let name = class_of(&self.root, file);
            let found = name.as_ref().and_then(|n| classes.iter().position(|c| c == n));
            found.map(|i| i as i64).ok_or_else(|| {
                Error::file(
                    file,
                    format!(
                        "lies in {}; expected a sub-folder of one of the training classes ({})",
                        name.map_or("no sub-folder".into(), |n| format!("the sub-folder `{n}`")),
                        classes.join(", ")
                    ),
                    "give training and test folders the same sub-folders",
                )
            })
        };
        self.files.iter().map(number).collect::<Result<_>>().map(Some)
    }
}

/// The name of the first folder between `root` and a file.
fn class_of(root: &Path, file: &Path) -> Option<String> {
    let mut parts = file.strip_prefix(root).ok()?.components();
    let first = parts.next()?;
    parts.next().map(|_| class_name(first.as_os_str()))
}

/// A folder's name as text, different for different folders.
///
/// A byte that is no part of UTF-8 becomes `\xNN`. Where a name has such bytes, or seems to, a
/// backslash is doubled.
fn class_name(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) if !text.contains("\\x") => return text.into(),
        _ => {}
    }
    let mut escaped = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        escaped += &chunk.valid().replace('\\', "\\\\");
        escaped.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    escaped
}

fn no_picture(root: &Path, walk: &Walk) -> Error {
    let kinds: Kinds = walk.left_out.iter().collect();
    let others = if kinds.count() > 0 {
        format!("; {kinds}")
    } else {
        String::new()
    };
    Error::file(
        root,
        format!("holds no picture{others}; {EXPECTED}"),
        "name a folder with pictures",
    )
}

fn warn_of_left_out(root: &Path, walk: &Walk) {
    if !walk.left_out.is_empty() {
        let kinds: Kinds = walk.left_out.iter().collect();
        log::warn!("{}: {kinds}", root.display());
    }
}

/// What a folder is searched for.
const EXPECTED: &str =
    "expected files that end in .png, .jpg, .jpeg, .jfif, .webp, .bmp, .gif, .tif, .tiff, .ppm, .pgm, .pbm or .pnm";

/// The bytes of all files one after another; each core decodes its share.
fn decode(files: &[PathBuf], input: [i64; 3], rule: FitRule) -> Result<Vec<u8>> {
    let bytes = input.iter().product::<i64>() as usize;
    let mut out = vec![0; files.len() * bytes];
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let parts = files.chunks(share).zip(out.chunks_mut(share * bytes));
        let workers: Vec<_> = parts
            .map(|(files, out)| scope.spawn(move || decode_into(files, input, rule, out)))
            .collect();
        let finished = workers.into_iter().map(|w| w.join().expect("a decoder does not panic"));
        // Every worker is joined before the first failure, in the order of the paths, is handed on.
        finished.collect::<Vec<_>>().into_iter().collect::<Result<()>>()
    })?;
    Ok(out)
}

fn decode_into(files: &[PathBuf], input: [i64; 3], rule: FitRule, out: &mut [u8]) -> Result<()> {
    let bytes = input.iter().product::<i64>() as usize;
    for (file, out) in files.iter().zip(out.chunks_exact_mut(bytes)) {
        out.copy_from_slice(&picture::read(file, input, rule)?);
    }
    Ok(())
}
