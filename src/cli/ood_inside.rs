//! The images that are in distribution.

use super::judging::Loaded;
use super::sets;
use crate::data::{self, DataSet, Dataset, Images};
use crate::error::{Error, Result};

/// Which images are in distribution.
pub enum Which {
    Test,
    Validation,
    Other(Dataset),
}

impl Which {
    /// By the word of --in.
    pub fn of(option: Option<&str>) -> Result<Self> {
        match option {
            None | Some("test") => Ok(Self::Test),
            Some("validation") => Ok(Self::Validation),
            Some(set) => sets::dataset(set).map(Self::Other),
        }
    }
}

/// The images that are in distribution.
pub struct Inside {
    pub name: String,
    pub images: Images,
    /// How images of another size were fitted.
    pub fit: String,
}

impl Inside {
    /// At most `limit` of them, drawn by `seed`.
    ///
    /// # Errors
    /// The run has no such images, or they cannot be read.
    pub fn new(loaded: &Loaded, which: Which, data: Option<DataSet>, limit: Option<usize>, seed: u64) -> Result<Self> {
        let own = &loaded.trained.experiment.data.dataset;
        let fit = |dataset| loaded.fit_words(dataset);
        match (which, data) {
            (Which::Other(dataset), _) => Ok(Self {
                images: data::test_images(&dataset, &loaded.wanted(limit, seed))?,
                name: data::name(&dataset),
                fit: fit(&dataset),
            }),
            (Which::Test, Some(data)) => Ok(Self {
                images: data.test.sampled(limit, seed)?,
                name: data::name(own),
                fit: fit(own),
            }),
            (Which::Validation, Some(data)) if data.validation.is_empty() => Err(Error::file(
                loaded.run.path(),
                "the run held no validation images out (data.validation: 0)",
                "leave --in out for its test images, or name a data set",
            )),
            (Which::Validation, Some(data)) => Ok(Self {
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
