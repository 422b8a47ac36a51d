//! How long a training step takes on this machine, found on a state that is thrown away.

use std::time::{Duration, Instant};

use tch::Device;

use super::run::RunDir;
use super::state::State;
use super::trainer::Trainer;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::sampling::Starter;

/// Steps of a kind are timed for so long, unless two take longer.
const BUDGET: Duration = Duration::from_secs(3);
/// Steps of the longest chains that are timed without a look at shorter ones.
const LONGEST: usize = 4;
/// The most steps of a kind that are timed.
const MOST: usize = 60;

/// Seconds that a training step takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Before chains begin (`objective.p_x_from`); as `step` where they begin at once.
    pub before: f64,
    /// From then on.
    pub step: f64,
}

/// Times real steps on a state of their own, whose streams begin as the run's do and move none of
/// them; gives data and starter back.
///
/// # Errors
/// Where a state cannot be made, or a step cannot be run.
pub fn rehearse(
    experiment: &Experiment,
    data: DataSet,
    starter: Starter,
    device: Device,
) -> Result<(Pace, DataSet, Starter)> {
    let state = State::new(experiment, &data, &starter, device)?;
    let mut trial = Trainer::assemble(experiment.clone(), data, starter, RunDir::none(), device, state);
    let from = experiment.objective.p_x_from;
    let before = (from > 0).then(|| seconds(&mut trial)).transpose()?;
    trial.state.step = trial.state.step.max(from);
    let step = seconds_with_chains(&mut trial)?;
    let pace = Pace {
        before: before.unwrap_or(step),
        step,
    };
    Ok((pace, trial.data, trial.starter))
}

/// The time of a step whose chains may be long: where the whole step takes too long to be timed,
/// what chains of one and of four steps take tells it, for each step of a chain takes as long as
/// any other.
fn seconds_with_chains(trial: &mut Trainer) -> Result<f64> {
    let whole = trial.experiment.sampler.n_steps;
    if whole <= LONGEST || !trial.experiment.objective.uses_chains() {
        return seconds(trial);
    }
    let mut of = |n_steps: usize| {
        trial.experiment.sampler.n_steps = n_steps;
        seconds(trial)
    };
    let (one, longer) = (of(1)?, of(LONGEST)?);
    let each = (longer - one).max(0.0) / (LONGEST - 1) as f64;
    let found = one + each * (whole - 1) as f64;
    trial.experiment.sampler.n_steps = whole;
    match 2.0 * found > BUDGET.as_secs_f64() {
        true => Ok(found),
        false => seconds(trial),
    }
}

/// The median time of the later half of some steps: the first ones choose algorithms, and record
/// what is replayed.
fn seconds(trial: &mut Trainer) -> Result<f64> {
    let (begun, last) = (Instant::now(), trial.experiment.objective.p_x_from);
    let before = trial.state.step < last;
    let mut times = Vec::new();
    while times.len() < 2 || (times.len() < MOST && begun.elapsed() < BUDGET) {
        let clock = Instant::now();
        trial.step()?;
        // Reading waits for the device.
        trial.state.meters.read();
        times.push(clock.elapsed().as_secs_f64());
        if before && trial.state.step >= last {
            trial.state.step = 0;
        }
    }
    let mut later = times.split_off(times.len() / 2);
    later.sort_by(f64::total_cmp);
    Ok(later[later.len() / 2])
}
