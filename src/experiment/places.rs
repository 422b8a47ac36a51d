//! Where the data of an experiment lie, and the run of its noise: relative paths are looked for in a few folders.

use std::path::{Path, PathBuf};

use super::Experiment;
use crate::data::{DataConfig, Dataset};
use crate::eval::OodSet;

/// Folders above a file, its own among them, that are looked through: the file of a run lies two
/// below its project.
const ABOVE: usize = 3;

impl Experiment {
    /// Makes relative paths of the data and of the noise lead somewhere, whichever folder the program runs in.
    ///
    /// A path that leads somewhere stays as it is. Another one is looked for beside `file` and in
    /// the folders above; `data.root` also beside the program and above. What is not found stays as
    /// it is, too.
    pub(super) fn locate_data(&mut self, file: &Path) {
        let folder = file.parent().unwrap_or(Path::new(""));
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let beside: Vec<PathBuf> = above(folder);
        self.locate_root(&beside);
        let of_sets = self.evaluate.ood.iter_mut().filter_map(|set| match set {
            OodSet::Data(dataset) => Some(dataset),
            _ => None,
        });
        let of_data = of_sets.chain([&mut self.data.dataset]).flat_map(paths);
        let base = self.objective.base_mut().map(|run| &mut run.path);
        for path in of_data.chain(base) {
            let found = beside.iter().map(|folder| folder.join(&path)).find(|p| p.exists());
            if let Some(found) = found.filter(|_| path.is_relative() && !path.exists()) {
                *path = plain(found);
            }
        }
    }

    /// Takes the first folder that holds the named set of the experiment; where it names none, the
    /// first that is there.
    fn locate_root(&mut self, beside: &[PathBuf]) {
        let named = std::iter::once(&self.data.dataset).chain(self.evaluate.ood.iter().filter_map(OodSet::data));
        let set = named.filter_map(Dataset::folder).next().unwrap_or_default();
        let root = &self.data.root;
        if root.join(set).is_dir() || root.is_absolute() {
            return;
        }
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(Path::parent).map(above).unwrap_or_default();
        let found = beside.iter().chain(&program).map(|folder| folder.join(root));
        if let Some(found) = found.into_iter().find(|root| root.join(set).is_dir()) {
            self.data.root = plain(found);
        }
    }
}

impl DataConfig {
    /// Writes the default of the rule by which a folder's pictures are fitted out, so that a run
    /// keeps it.
    pub(super) fn settle_fit(&mut self) {
        if let Dataset::Folder(folder) = &mut self.dataset {
            folder.fit = Some(folder.fit.unwrap_or_default());
        }
    }
}

/// A folder and those above it, the nearest first.
fn above(folder: &Path) -> Vec<PathBuf> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.into());
    real.ancestors().take(ABOVE).map(Path::to_path_buf).collect()
}

/// Without `..` and links.
fn plain(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// Every path that a data set names.
fn paths(dataset: &mut Dataset) -> Vec<&mut PathBuf> {
    match dataset {
        Dataset::Folder(f) => [Some(&mut f.path), f.test.as_mut()].into_iter().flatten().collect(),
        Dataset::Npy(s) | Dataset::Idx(s) => {
            let others = [&mut s.labels, &mut s.test_images, &mut s.test_labels];
            let others = others.into_iter().filter_map(Option::as_mut);
            std::iter::once(&mut s.images).chain(others).collect()
        }
        _ => Vec::new(),
    }
}
