//! The images that are in distribution.

use super::loaded::Loaded;
use super::sets;
use crate::data::{self, DataSet, Dataset, Images};
use crate::error::{Error, Result};

/// Which images are in distribution.
#[derive(Debug)]
pub enum Inside {
    /// The run's test images.
    Test,
    /// The run's validation images.
    Validation,
    /// The test images of another set, or all that it has.
    Other(Dataset),
}

impl Inside {
    /// By a word: `test`, `validation` or a set as [`sets::dataset`] takes it.
    ///
    /// # Errors
    /// There is no such set.
    pub fn of(word: &str) -> Result<Self> {
        match word {
            "test" => Ok(Self::Test),
            "validation" => Ok(Self::Validation),
            set => sets::dataset(set).map(Self::Other),
        }
    }
}

/// The images that are in distribution.
#[derive(Debug)]
pub struct InsideImages {
    /// What they are called.
    pub name: String,
    /// The images.
    pub images: Images,
    /// How images of another size were fitted.
    pub fit: String,
}

impl InsideImages {
    /// At most `limit` of them, drawn by `seed`.
    ///
    /// # Errors
    /// The run has no such images, or they cannot be read.
    pub fn new(loaded: &Loaded, which: Inside, data: Option<DataSet>, limit: Option<usize>, seed: u64) -> Result<Self> {
        let own = &loaded.trained.experiment.data.dataset;
        let fit = |dataset| loaded.fit_words(dataset);
        match (which, data) {
            (Inside::Other(dataset), _) => Ok(Self {
                images: data::test_images(&dataset, &loaded.wanted(limit, seed))?,
                name: data::name(&dataset),
                fit: fit(&dataset),
            }),
            (Inside::Test, Some(data)) => Ok(Self {
                images: data.test.sampled(limit, seed)?,
                name: data::name(own),
                fit: fit(own),
            }),
            (Inside::Validation, Some(data)) if data.validation.is_empty() => Err(Error::file(
                loaded.run.path(),
                "the run held no validation images out (data.validation: 0)",
                "leave --in out for its test images, or name a data set",
            )),
            (Inside::Validation, Some(data)) => Ok(Self {
                images: data.validation.sampled(limit, seed)?,
                name: format!("{}, validation", data::name(own)),
                fit: fit(own),
            }),
            (_, None) => Err(Error::file(
                loaded.run.path(),
                "the run has no data of its own (data.dataset: none)",
                "name the data set that is in distribution by --in SET",
            )),
        }
    }
}
