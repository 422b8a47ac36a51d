//! In which precision and layout chains run: measured where the experiment leaves it open.

use serde::Serialize;

use crate::config::yaml;
use crate::experiment::Experiment;
use crate::models::{Candidate, Model, resolve_auto};
use crate::nn::Mode;
use crate::run::Listener;

/// Writes the choice into the experiment; the listener hears what was measured.
pub(super) fn choose(experiment: &mut Experiment, model: &dyn Model, listener: &dyn Listener) {
    let batch = experiment.train.batch_size;
    let mode = experiment
        .sampler
        .as_ref()
        .map_or(Mode::Eval, |s| s.network_mode.mode());
    let measured = resolve_auto(&mut experiment.compute, mode, model, batch);
    let Some(images) = measured.first().map(|c| c.images) else {
        return;
    };
    let of_one = |c: &Candidate| {
        let milliseconds = c.time.as_secs_f64() * 1e3;
        format!("{} {} {milliseconds:.1}", word(&c.precision), word(&c.layout))
    };
    let times: Vec<String> = measured.iter().map(of_one).collect();
    let compute = &experiment.compute;
    listener.says(&format!(
        "chains run in {}, {}; milliseconds for a gradient of {images} images: {}",
        word(&compute.precision),
        word(&compute.layout),
        times.join(", ")
    ));
}

/// A choice as it stands in a configuration.
fn word(choice: &impl Serialize) -> String {
    yaml::to_value(choice).as_str().unwrap_or_default().to_owned()
}
