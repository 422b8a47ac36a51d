//! environment.json: what, beside the configuration, decides a run's numbers; an entry a sitting.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::folder::RunDir;
use crate::error::Result;
use crate::experiment::Experiment;

const FILE: &str = "environment.json";

/// One sitting at a run.
#[derive(Serialize, Deserialize)]
struct Sitting {
    from_step: u64,
    versions: BTreeMap<String, String>,
    seed: u64,
    device: String,
    threads: Option<u32>,
    processor: String,
    cuda_linked: bool,
    init_from: Option<String>,
    command: Vec<String>,
}

/// Adds this sitting to the run's record, and says so where another build began it.
pub fn note(run: &RunDir, experiment: &Experiment, from_step: u64, init_from: Option<&Path>) -> Result<()> {
    let mut sittings: Vec<Sitting> = run.read_json(FILE).unwrap_or_default();
    let now = Sitting::of(experiment, from_step, init_from);
    if let Some(last) = sittings.last()
        && last.versions != now.versions
    {
        log::info!(
            "another build of the program made the steps before; from here on the run need not be bit for bit what that one would have made"
        );
    }
    sittings.push(now);
    run.write_json(FILE, &sittings)
}

impl Sitting {
    fn of(experiment: &Experiment, from_step: u64, init_from: Option<&Path>) -> Self {
        Self {
            from_step,
            versions: checkpoint::versions(),
            seed: experiment.seed,
            device: experiment.device.clone(),
            threads: experiment.threads,
            processor: processor(),
            cuda_linked: tch::utils::has_cuda(),
            init_from: init_from.map(|p| p.display().to_string()),
            command: std::env::args().collect(),
        }
    }
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name"));
    name.map_or("unknown", |l| l.trim_matches([' ', '\t', ':'])).to_owned()
}
