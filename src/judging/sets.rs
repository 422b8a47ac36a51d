//! Sets of images by what a person calls them: a word, a path, or what an experiment file says.

use std::path::Path;

use serde_yaml::Value;

use crate::config::yaml;
use crate::data;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::OodSet;

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
/// It is neither one of [`WORDS`], nor a folder or stack that is there, nor a set as in
/// `evaluate.ood`.
pub fn outliers(text: &str) -> Result<OodSet> {
    let place = Path::new(text);
    if let Some(mapping) = mapping(text)?
        && mapping.get("data").is_some()
    {
        return yaml::typed(mapping, place);
    }
    match yaml::typed(text.into(), place) {
        Ok(set) => Ok(set),
        Err(_) => dataset(text).map(OodSet::Data),
    }
}

/// A data set, such as the one that is in distribution.
///
/// # Errors
/// As of [`outliers`]; a set that is made of the data is no data set.
pub fn dataset(text: &str) -> Result<Dataset> {
    let place = Path::new(text);
    if let Some(mapping) = mapping(text)? {
        return yaml::typed(mapping, place);
    }
    match yaml::typed(text.into(), place) {
        Ok(Dataset::None) | Err(_) if !place.exists() => Err(unknown(text)),
        Ok(Dataset::None) | Err(_) => data::dataset_at(place),
        Ok(dataset) => Ok(dataset),
    }
}

/// What stands in braces, as YAML.
fn mapping(text: &str) -> Result<Option<Value>> {
    let braced = text.starts_with('{');
    braced.then(|| yaml::parse(text, Path::new(text))).transpose()
}

fn unknown(text: &str) -> Error {
    Error::input(
        format!("set `{text}`"),
        "no set of that name, and no such folder or file",
        format!(
            "give one of {}, or a folder of pictures, a .npy or an idx stack",
            WORDS.join(", ")
        ),
    )
}
