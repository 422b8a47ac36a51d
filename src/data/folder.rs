//! A folder of pictures: which files belong to it, their labels, and reading them with bounded memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tch::{Device, Kind, Tensor};

use super::stack::missing;
use super::{Images, draw, picture};
use crate::config::FitRule;
use crate::error::{Error, Result};

/// How much is held on the host at once while pictures are decoded.
const BLOCK: i64 = 32 << 20;

/// The picture files below a folder, sorted by path, with what their sub-folders say.
#[derive(Clone)]
pub(super) struct Listing {
    pub root: PathBuf,
    pub files: Vec<PathBuf>,
    /// The sub-folders' names, sorted; empty unless every picture lies in one.
    pub classes: Vec<String>,
}

impl Listing {
    /// Looks through `root` and all folders below; hidden files and folders are passed over.
    ///
    /// # Errors
    /// The folder is missing, cannot be read, or holds no picture.
    pub fn new(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        walk(root, &mut Vec::new(), &mut files)?;
        if files.is_empty() {
            return Err(Error::file(
                root,
                "holds no picture; expected files that end in .png, .jpg, .jpeg, .webp, .bmp or .gif",
                "name a folder with pictures",
            ));
        }
        files.sort();
        let names: Option<Vec<String>> = files.iter().map(|f| class_of(root, f)).collect();
        let mut classes = names.unwrap_or_default();
        classes.sort();
        classes.dedup();
        Ok(Self {
            root: root.into(),
            files,
            classes,
        })
    }

    /// The same folder with only the files at the indices `at`.
    pub fn select(&self, at: &[i64]) -> Self {
        Self {
            root: self.root.clone(),
            files: at.iter().map(|i| self.files[*i as usize].clone()).collect(),
            classes: self.classes.clone(),
        }
    }

    /// The sorted indices of `limit` of the files, drawn by `seed`, each class by its share; none where no limit applies.
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
    parts.next().map(|_| first.as_os_str().to_string_lossy().into_owned())
}

/// Collects pictures below `folder`; a link that leads back to a folder above is not followed.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let real = fs::canonicalize(folder).map_err(|e| missing(folder, e))?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, above, files)?;
        } else if picture::is_picture(&path) {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

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
