//! What `check` and `train` do with an experiment before its data are opened.

use std::path::Path;

use tch::Device;

use super::device;
use super::progress::say;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, memory};
use crate::train::set_modes;
use crate::{data, nn, process};

/// Says how a file was read, where that needs a word.
pub fn say_notices(experiment: &Experiment) {
    let say_one = |notice: &String| say(&format!("notice: {notice}"));
    experiment.notices.iter().for_each(say_one);
}

/// The checks of an experiment that go beyond its own keys: the network can be built, fits the
/// data, and fits into memory.
pub fn consistent(experiment: &Experiment, file: &Path) -> Result<nn::Summary> {
    let summary = nn::describe(&experiment.model, file).map_err(inside_model)?;
    data::check_shape(&experiment.data, experiment.model.input)?;
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

/// Checks what needs no data, and writes this machine's choices into the configuration.
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

/// The change of an experiment that `--root` stands for.
pub fn root_key(root: &Path) -> String {
    // A string of JSON is one of YAML, whatever the path holds.
    format!("data.root={}", serde_json::json!(root.to_string_lossy()))
}
