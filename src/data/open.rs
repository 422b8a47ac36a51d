//! From the `data` section of an experiment to training, validation and test images on the device.

use tch::{Device, Tensor};

use super::config::{DataConfig, FitRule, FolderConfig};
use super::formats::folder::Listing;
use super::formats::picture;
use super::source::{Source, no_images};
use super::split::{SourceRecord, Split, SplitRecord};
use super::{Images, hash, strokes};
use crate::error::{Error, Result};

/// A data set in its three parts.
#[derive(Debug)]
pub struct DataSet {
    /// What the model learns.
    pub train: Images,
    /// Held out from the training images; empty where `data.validation` is 0.
    pub validation: Images,
    /// Not to be looked at before the end.
    pub test: Images,
    /// What a run keeps of all this.
    pub record: SplitRecord,
}

/// The shape `[C,H,W]` that the images will have, from names, options and headers alone; no image is loaded.
///
/// A folder takes the shape of the model, `input`, by its fit rule; with `exact` the first picture decides.
///
/// # Errors
/// A stack, or a folder of exact pictures, is missing, its header is wrong, it is truncated, or training and test images disagree.
pub fn declared_shape(cfg: &DataConfig, input: [i64; 3]) -> Result<[i64; 3]> {
    match Source::of(&cfg.dataset) {
        Source::Named(set) => Ok(set.shape),
        Source::Stack(files) => files.shape(input),
        Source::Strokes(s) => Ok([1, s.size as i64, s.size as i64]),
        Source::Folder(f) => folder_shape(f, input),
        Source::Toy(_) => Err(Error::input(
            "data.dataset",
            "gives points, and this is about images",
            "choose an architecture file with `input: [2]`",
        )),
        Source::None => Ok(input),
    }
}

/// Refuses data whose declared shape is not the model's `input`; no image is loaded.
///
/// # Errors
/// Those of [`declared_shape`], and shapes that disagree.
pub fn check_shape(cfg: &DataConfig, input: impl AsRef<[i64]>) -> Result<()> {
    let input = input.as_ref();
    let found = match image(input) {
        Ok(input) => declared_shape(cfg, input)?.to_vec(),
        Err(e) if !matches!(Source::of(&cfg.dataset), Source::Toy(_)) => return Err(e),
        Err(_) => vec![2],
    };
    if found == input {
        return Ok(());
    }
    Err(Error::input(
        "data.dataset",
        format!("the images are {found:?} (channels, height, width), the model's input is {input:?}"),
        "choose an architecture file for these images, or other images",
    ))
}

/// The shape of the model's input as that of images.
fn image(input: &[i64]) -> Result<[i64; 3]> {
    input.try_into().map_err(|_| {
        Error::input(
            "data.dataset",
            format!("gives images, and the states of the model are of shape {input:?}"),
            "choose an architecture file for images, or data.dataset: {toy: {density: eight-gaussians}}",
        )
    })
}

/// Loads a data set onto `device` for a model of the shape `input`.
///
/// `limit` draws from the training images first, then `validation` of these are held out.
///
/// # Errors
/// Anything missing, truncated, of a wrong kind, hash or size, or too few images for what is held out.
pub fn open(cfg: &DataConfig, input: impl AsRef<[i64]>, device: Device) -> Result<DataSet> {
    let input = input.as_ref();
    check_shape(cfg, input)?;
    let loaded = load(cfg, input, device)?;
    let count = loaded.train.len();
    let validation = cfg.validation as i64;
    if validation >= count {
        return Err(Error::input(
            "data.validation",
            format!("{validation} images cannot be held out of {count}: none is left for training"),
            "hold fewer images out, or raise data.limit",
        ));
    }
    let split = Split::draw(count, validation, cfg.split_seed, "split-validation");
    let (train, held) = match validation {
        0 => (loaded.train.shallow_clone(), loaded.train.none_like()),
        _ => (pick(&loaded.train, &split.kept), pick(&loaded.train, &split.held)),
    };
    let record = SplitRecord {
        dataset: cfg.dataset.clone(),
        sources: loaded.sources,
        shape: input.to_vec(),
        classes: train.classes.clone(),
        train: train.len(),
        validation,
        test: loaded.test.len(),
        split_seed: cfg.split_seed,
        validation_sha256: split.sha256(),
        test_sha256: loaded.test_sha256,
        limit_sha256: loaded.limit_sha256,
    };
    Ok(DataSet {
        train,
        validation: held,
        test: loaded.test,
        record,
    })
}

/// Images before validation images are held out.
struct Loaded {
    train: Images,
    test: Images,
    sources: Vec<SourceRecord>,
    test_sha256: Option<String>,
    limit_sha256: Option<String>,
}

fn load(cfg: &DataConfig, input: &[i64], device: Device) -> Result<Loaded> {
    let (train, test, sources) = match Source::of(&cfg.dataset) {
        Source::None => return Err(no_images()),
        Source::Folder(f) => return load_folder(f, cfg, image(input)?, device),
        Source::Named(set) => {
            let (train, mut sources) = set.train(&cfg.root, device)?;
            let (test, more) = set.test(&cfg.root, device)?;
            sources.extend(more);
            (train, Some(test), sources)
        }
        Source::Stack(files) => (
            files.read_train(image(input)?, device)?,
            files.read_test(image(input)?, device)?,
            files.records()?,
        ),
        Source::Strokes(s) => (strokes::train(s, device), Some(strokes::test(s, device)), Vec::new()),
        Source::Toy(t) => (t.train(device), Some(t.test(device)), Vec::new()),
    };
    let (train, test, test_sha256) = match test {
        Some(test) => {
            let test = aligned(test, &train)?;
            (train, test, None)
        }
        None => {
            let split = Split::tenth(train.len(), cfg.split_seed);
            let (kept, held) = (pick(&train, &split.kept), pick(&train, &split.held));
            (kept, held, Some(split.sha256()))
        }
    };
    let drawn = train.drawn(cfg.limit, cfg.split_seed)?;
    Ok(Loaded {
        train: drawn
            .as_deref()
            .map_or_else(|| train.shallow_clone(), |at| pick(&train, at)),
        test,
        sources,
        test_sha256,
        limit_sha256: drawn.as_deref().map(hash::indices),
    })
}

fn load_folder(f: &FolderConfig, cfg: &DataConfig, input: [i64; 3], device: Device) -> Result<Loaded> {
    let all = Listing::new(&f.path)?;
    let (train, test, test_sha256) = match &f.test {
        Some(path) => (all.clone(), Listing::new(path)?, None),
        None => {
            let split = Split::tenth(all.files.len() as i64, cfg.split_seed);
            (all.select(&split.kept), all.select(&split.held), Some(split.sha256()))
        }
    };
    let drawn = train.drawn(cfg.limit, cfg.split_seed)?;
    let train = drawn.as_deref().map_or_else(|| train.clone(), |at| train.select(at));
    let (rule, classes) = (f.fit.unwrap_or_default(), train.classes.clone());
    let read_test = match test.files.is_empty() {
        true => Images::none(input, device),
        false => test.read(input, rule, &classes, device)?,
    };
    Ok(Loaded {
        train: train.read(input, rule, &classes, device)?,
        test: read_test,
        sources: folder_records(f, &all, &train, &test)?,
        test_sha256,
        limit_sha256: drawn.as_deref().map(hash::indices),
    })
}

/// The records of a folder and of its test folder; a picture that is not in use is not read for
/// them.
fn folder_records(f: &FolderConfig, all: &Listing, train: &Listing, test: &Listing) -> Result<Vec<SourceRecord>> {
    match &f.test {
        Some(path) => Ok(vec![
            SourceRecord::listing(&f.path, &all.files, &train.files)?,
            SourceRecord::listing(path, &test.files, &test.files)?,
        ]),
        None => {
            let mut used = [&train.files[..], &test.files].concat();
            used.sort();
            Ok(vec![SourceRecord::listing(&f.path, &all.files, &used)?])
        }
    }
}

fn folder_shape(f: &FolderConfig, input: [i64; 3]) -> Result<[i64; 3]> {
    picture::check_channels(&f.path, input)?;
    if f.fit.unwrap_or_default() != FitRule::Exact {
        return Ok(input);
    }
    let listing = Listing::new(&f.path)?;
    let (h, w) = picture::size(&listing.files[0])?;
    Ok([input[0], h, w])
}

/// Test images whose labels are numbers of the training images' classes.
fn aligned(test: Images, train: &Images) -> Result<Images> {
    if test.classes.len() > train.classes.len() && !train.classes.is_empty() {
        return Err(Error::input(
            "data.dataset",
            format!(
                "the test labels have {} classes, the training labels {}",
                test.classes.len(),
                train.classes.len()
            ),
            "give test labels of the same classes",
        ));
    }
    if train.classes.is_empty() {
        return Ok(Images::unlabelled(test.pixels));
    }
    Ok(Images {
        classes: train.classes.clone(),
        ..test
    })
}

fn pick(images: &Images, at: &[i64]) -> Images {
    images.select(&Tensor::from_slice(at))
}
