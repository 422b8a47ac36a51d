//! The data of a run, held against the record of what it was trained on.

use std::path::Path;

use tch::Device;

use super::folder::RunDir;
use crate::data::{self, DataSet, Kept, SplitRecord};
use crate::error::{Error, Result};
use crate::experiment::Experiment;

/// The record of the data and its split, in the run's folder.
pub const DATA: &str = "data.json";

/// Opens the data of a run.
///
/// # Errors
/// Those of [`data::open`], and images that are not those of the run.
pub fn open(run: &RunDir, e: &Experiment, device: Device) -> Result<DataSet> {
    let data = data::open(&e.data, e.model.input(), device)?;
    let kept = compare(run, &data.record)?;
    for folder in &kept.unhashed {
        log::info!(
            "{}: files have the names and sizes that they had; what they hold was not recorded and is not compared",
            folder.display()
        );
    }
    if kept.other_limit {
        log::info!("data.limit takes other images than when this run was trained; its test images are the same");
    }
    Ok(data)
}

/// Refuses training or validation images that are drawn by another rule than when the run was
/// trained.
///
/// # Errors
/// The run took the first `data.limit` images.
pub fn ensure_same_limit(run: &RunDir, record: &SplitRecord) -> Result<()> {
    if !compare(run, record)?.other_limit {
        return Ok(());
    }
    Err(Error::file(
        &run.path().join(DATA),
        "data.limit took the first images (of a folder, every so many) when this run was trained, and draws them now: training and validation images are others",
        "start another run with --out (and --init-from this one), or use this run's test images or a named data set",
    ))
}

fn compare(run: &RunDir, now: &SplitRecord) -> Result<Kept> {
    let path = run.path().join(DATA);
    // Weights that were imported know of no images.
    if !path.exists() {
        return Ok(Kept::default());
    }
    let then: SplitRecord = run.read_json(DATA).ok_or_else(|| unreadable(&path))?;
    then.compare(now).map_err(|what| {
        Error::file(
            &path,
            format!("the data are not those that the run was started with: {what}"),
            "put the images back as they were, name a data set where the command takes one, or start another run with --out (and --init-from this one)",
        )
    })
}

fn unreadable(path: &Path) -> Error {
    Error::file(
        path,
        "cannot be read as the record of a run's data",
        "put the file back as `ebm train` wrote it",
    )
}
