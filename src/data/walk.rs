//! A walk through the folders below one: the pictures in them, and what is passed over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use super::formats::picture;
use super::reading::{missing, special};
use crate::error::{Error, Result};

/// So many kinds are named at most where files were passed over.
const MOST_NAMED: usize = 8;

/// What lies below a folder; hidden files and folders are not looked at.
#[derive(Default)]
pub(super) struct Walk {
    /// The pictures, sorted by path.
    pub pictures: Vec<PathBuf>,
    /// What was passed over, each with its kind.
    pub left_out: Vec<(PathBuf, String)>,
    /// The true paths of the folders that were read.
    seen: HashSet<PathBuf>,
    folders: Vec<PathBuf>,
    links: BTreeSet<PathBuf>,
}

/// The kind of a link that leads to a folder which the walk has read.
const SEEN: &str = "links to folders that were read";

impl Walk {
    /// Walks through `root` and all folders below, each once.
    ///
    /// Links to folders come last: pictures then have the path that leads to them without a link.
    ///
    /// # Errors
    /// A folder is missing or cannot be read.
    pub fn through(root: &Path) -> Result<Self> {
        let mut walk = Self::default();
        let mut next = Some(root.to_path_buf());
        while let Some(folder) = next {
            walk.enter(folder)?;
            next = walk.folders.pop().or_else(|| walk.links.pop_first());
        }
        walk.pictures.sort();
        Ok(walk)
    }

    fn enter(&mut self, folder: PathBuf) -> Result<()> {
        let real = fs::canonicalize(&folder).map_err(|e| missing(&folder, e))?;
        if !self.seen.insert(real) {
            self.left_out.push((folder, SEEN.into()));
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let entry = entry.map_err(Error::io(&folder))?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                let itself = entry.file_type().map_err(Error::io(entry.path()))?;
                self.sort_in(entry.path(), itself);
            }
        }
        Ok(())
    }

    /// Nothing is opened: a FIFO without a writer would hold the program for ever.
    fn sort_in(&mut self, path: PathBuf, itself: FileType) {
        let target = match itself.is_symlink() {
            true => fs::metadata(&path).ok().map(|m| m.file_type()),
            false => Some(itself),
        };
        match target {
            Some(kind) if kind.is_dir() && itself.is_symlink() => drop(self.links.insert(path)),
            Some(kind) if kind.is_dir() => self.folders.push(path),
            Some(kind) if !kind.is_file() => self.left_out.push((path, special(kind).into())),
            // A link that leads nowhere is a picture by its name, so that reading it tells.
            _ if picture::is_picture(&path) => self.pictures.push(path),
            _ => {
                let kind = extension(&path);
                self.left_out.push((path, kind));
            }
        }
    }

    /// Files that are no pictures by their names, links to folders aside.
    pub fn other_files(&self) -> impl Iterator<Item = &(PathBuf, String)> {
        self.left_out.iter().filter(|(_, kind)| kind != SEEN)
    }
}

fn extension(path: &Path) -> String {
    match path.extension() {
        Some(e) => format!(".{}", e.to_string_lossy().to_lowercase().escape_debug()),
        None => "without extension".into(),
    }
}

/// How many files of which kinds: `11 files passed over (.tif 8, .jfif 3)`.
pub(super) struct Kinds(BTreeMap<String, usize>);

impl<'a> FromIterator<&'a (PathBuf, String)> for Kinds {
    fn from_iter<T: IntoIterator<Item = &'a (PathBuf, String)>>(left_out: T) -> Self {
        let mut kinds = BTreeMap::new();
        for (_, kind) in left_out {
            *kinds.entry(kind.clone()).or_default() += 1;
        }
        Self(kinds)
    }
}

impl Kinds {
    pub fn count(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut kinds: Vec<_> = self.0.iter().map(|(kind, n)| (*n, kind)).collect();
        kinds.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let named: Vec<_> = kinds
            .iter()
            .take(MOST_NAMED)
            .map(|(n, kind)| format!("{kind} {n}"))
            .collect();
        let rest: usize = kinds.iter().skip(MOST_NAMED).map(|(n, _)| n).sum();
        let others = if rest > 0 {
            format!(", others {rest}")
        } else {
            String::new()
        };
        let files = if self.count() == 1 { "file" } else { "files" };
        write!(f, "{} {files} passed over ({}{others})", self.count(), named.join(", "))
    }
}
