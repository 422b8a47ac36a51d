//! In which precision and layout chains run: measured where the experiment leaves it open.

use serde::Serialize;

use super::listener::Listener;
use crate::config::yaml;
use crate::experiment::Experiment;
use crate::nn::Network;
use crate::sampling::{self, Candidate};

/// Writes the choice into the experiment; the listener hears what was measured.
pub(super) fn choose(experiment: &mut Experiment, network: &Network, listener: &dyn Listener) {
    let batch = experiment.train.batch_size;
    let measured = sampling::resolve_auto(&mut experiment.sampler, network, batch);
    let Some(images) = measured.first().map(|c| c.images) else {
        return;
    };
    let of_one = |c: &Candidate| {
        let milliseconds = c.time.as_secs_f64() * 1e3;
        format!("{} {} {milliseconds:.1}", word(&c.precision), word(&c.layout))
    };
    let times: Vec<String> = measured.iter().map(of_one).collect();
    let sampler = &experiment.sampler;
    listener.says(&format!(
        "chains run in {}, {}; milliseconds for a gradient of {images} images: {}",
        word(&sampler.precision),
        word(&sampler.layout),
        times.join(", ")
    ));
}

/// A choice as it stands in a configuration.
fn word(choice: &impl Serialize) -> String {
    yaml::to_value(choice).as_str().unwrap_or_default().to_owned()
}
