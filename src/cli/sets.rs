//! Sets of images named on a command line: a word, a path, or what an experiment file would say.

use std::path::Path;

use crate::config::{Dataset, OodSet, yaml};
use crate::data;
use crate::error::{Error, Result};

/// What a set may be called; a path or a mapping of YAML does as well.
pub const WORDS: [&str; 14] = [
    "mnist",
    "fashion-mnist",
    "cifar10",
    "cifar100",
    "svhn",
    "uniform",
    "gaussian",
    "constant",
    "textures",
    "interpolated",
    "rotated",
    "flipped",
    "inverted",
    "blurred",
];

/// A set to tell the data from.
///
/// # Errors
/// It is neither one of [`WORDS`], nor a folder or stack that is there, nor a set as in `evaluate.ood`.
pub fn outliers(text: &str) -> Result<OodSet> {
    let tree = yaml::parse(text, Path::new(text)).unwrap_or_default();
    if let Ok(set) = yaml::typed::<OodSet>(tree, Path::new(text)) {
        return Ok(set);
    }
    dataset(text).map(OodSet::Data)
}

/// A data set, such as the one that is in distribution.
///
/// # Errors
/// As of [`outliers`]; a set that is drawn by code is no data set.
pub fn dataset(text: &str) -> Result<Dataset> {
    let path = Path::new(text);
    let tree = yaml::parse(text, path).unwrap_or_default();
    match yaml::typed::<Dataset>(tree, path) {
        Ok(Dataset::None) => {}
        Ok(dataset) => return Ok(dataset),
        Err(error) if text.starts_with('{') => return Err(error),
        Err(_) => {}
    }
    if path.exists() {
        return data::dataset_at(path);
    }
    Err(Error::input(
        format!("set `{text}`"),
        "no set of that name, and no such folder or file",
        format!(
            "give one of {}, or a folder of pictures, a .npy or an idx stack",
            WORDS.join(", ")
        ),
    ))
}
