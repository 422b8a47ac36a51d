//! The images of a set that is named by itself: to evaluate on, to fit a threshold on, to tell a
//! run's images from.

use std::path::Path;

use tch::Device;

use super::config::{Dataset, FitRule, FolderConfig};
use super::formats::folder::Listing;
use super::formats::picture;
use super::source::{Source, name, no_images};
use super::{Images, strokes};
use crate::error::{Error, Result};

/// How the images of a set are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The folder of the named data sets.
    pub root: &'a Path,
    /// Channels, height and width.
    pub input: [i64; 3],
    /// How another size is brought to it, unless the set names a rule by itself.
    pub fit: FitRule,
    /// Where the images are wanted.
    pub device: Device,
    /// At most so many, each class by its share; null means all.
    pub limit: Option<usize>,
    /// Decides which ones.
    pub seed: u64,
}

#[derive(Clone, Copy)]
enum Part {
    Training,
    Test,
}

/// The test images of a set; all images of a folder or stack that has no test images of its own.
///
/// Grey and colour are converted, then another size is fitted.
///
/// # Errors
/// Anything missing, truncated, of a wrong kind, hash or size, and channels that no rule leads to the model's.
pub fn test_images(dataset: &Dataset, wanted: &Wanted) -> Result<Images> {
    images(dataset, Part::Test, wanted)
}

/// The training images of a set, brought to the shape in the same way.
///
/// # Errors
/// Those of [`test_images`].
pub fn training_images(dataset: &Dataset, wanted: &Wanted) -> Result<Images> {
    images(dataset, Part::Training, wanted)
}

/// Whether a set has test images of its own, apart from the others.
pub fn has_own_test(dataset: &Dataset) -> bool {
    match dataset {
        Dataset::Folder(folder) => folder.test.is_some(),
        Dataset::Npy(files) | Dataset::Idx(files) => files.test_images.is_some(),
        _ => true,
    }
}

fn images(dataset: &Dataset, part: Part, wanted: &Wanted) -> Result<Images> {
    let device = wanted.device;
    let images = match (Source::of(dataset), part) {
        (Source::Named(set), Part::Training) => set.train(wanted.root, device)?.0,
        (Source::Named(set), Part::Test) => set.test(wanted.root, device)?.0,
        (Source::Stack(files), Part::Training) => files.read_train(wanted.input, device)?,
        (Source::Stack(files), Part::Test) => files.read_last(wanted.input, device)?,
        (Source::Strokes(s), Part::Training) => strokes::train(s, device),
        (Source::Strokes(s), Part::Test) => strokes::test(s, device),
        (Source::None, _) => return Err(no_images()),
        (Source::Toy(_), _) => return Err(are_points()),
        (Source::Folder(f), _) => return of_folder(f, part, wanted),
    };
    let images = images.sampled(wanted.limit, wanted.seed)?;
    let pixels = picture::fit_stack(&images.pixels, wanted.input, wanted.fit).map_err(|what| {
        Error::input(
            format!("set {}", name(dataset)),
            format!("{what} (sizes are fitted by the rule `{}`)", wanted.fit),
            "choose images of the model's size and channels, or grey or colour ones for a grey or colour model",
        )
    })?;
    Ok(Images { pixels, ..images })
}

fn are_points() -> Error {
    Error::input(
        "set toy",
        "gives points, and images are told apart here",
        "name a set of images",
    )
}

/// Only pictures that are wanted are decoded.
fn of_folder(f: &FolderConfig, part: Part, wanted: &Wanted) -> Result<Images> {
    let path = match part {
        Part::Training => &f.path,
        Part::Test => f.test.as_ref().unwrap_or(&f.path),
    };
    let all = Listing::new(path)?;
    let some = all.drawn(wanted.limit, wanted.seed)?.map(|at| all.select(&at));
    let listing = some.unwrap_or(all);
    let rule = f.fit.unwrap_or(wanted.fit);
    listing.read(wanted.input, rule, &listing.classes, wanted.device)
}
