//! What is done with an experiment before its data are opened: its checks, and this machine's
//! choices.

use std::path::Path;

use tch::Device;

use super::device;
use super::modes::set_modes;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, memory};
use crate::{data, nn, process};

/// The checks of an experiment that go beyond its own keys: the model can be built, fits the
/// data, and fits into memory.
///
/// # Errors
/// Names the key that keeps it from being trained.
pub fn consistent(experiment: &Experiment, file: &Path) -> Result<nn::Summary> {
    let summary = experiment.model.describe(file).map_err(inside_model)?;
    data::check_shape(&experiment.data, experiment.model.input())?;
    memory::ensure_experiment(experiment, &summary, file)?;
    Ok(summary)
}

/// Puts `model.` before the key of an error in an architecture that stands inside an experiment.
fn inside_model(error: Error) -> Error {
    match error {
        Error::Config {
            file,
            key,
            what,
            remedy,
        } => Error::Config {
            file,
            key: format!("model.{key}"),
            what,
            remedy,
        },
        other => other,
    }
}

/// Checks what needs no data, writes this machine's choices into the configuration, and sets the
/// process up for them; gives the device.
///
/// # Errors
/// Those of [`consistent`], and a device that is not there.
pub fn resolve(experiment: &mut Experiment, file: &Path) -> Result<Device> {
    consistent(experiment, file)?;
    let device = device::parse(&experiment.device)?;
    if experiment.deterministic && device.is_cuda() {
        process::repeat_products();
    }
    set_modes(experiment);
    experiment.device = device::name(device);
    let threads = experiment
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32));
    tch::set_num_threads(threads as i32);
    experiment.threads = Some(threads);
    Ok(device)
}
