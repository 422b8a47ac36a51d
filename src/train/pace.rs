//! How long a training step takes on this machine, found on a state that is thrown away.

use std::time::{Duration, Instant};

use tch::Device;

use super::state::State;
use super::trainer::Trainer;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::run::RunDir;
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
    /// Before chains begin (`from` of the terms); as `step` where they begin at once.
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
    let from = experiment.objective.chains_from();
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
    let whole = trial.experiment.sampler.as_ref().map_or(0, |sampler| sampler.n_steps);
    if whole <= LONGEST || !trial.runs_chains {
        return seconds(trial);
    }
    let mut of = |n_steps: usize| {
        trial.set_chain_length(n_steps);
        seconds(trial)
    };
    let (one, longer) = (of(1)?, of(LONGEST)?);
    trial.set_chain_length(whole);
    match whole_step(one, longer, whole) {
        Whole::Reckoned(seconds) => Ok(seconds),
        Whole::Short => seconds(trial),
    }
}

impl Trainer {
    /// Lets chains of the steps that follow be of another length.
    fn set_chain_length(&mut self, n_steps: usize) {
        if let Some(sampler) = &mut self.experiment.sampler {
            sampler.n_steps = n_steps;
        }
    }
}

/// How the time of a step with whole chains is found.
#[derive(Debug, PartialEq)]
enum Whole {
    /// From shorter ones.
    Reckoned(f64),
    /// By timing it: that takes little.
    Short,
}

/// From the seconds of a step with chains of one and of [`LONGEST`] steps.
///
/// Times are noisy, and may not tell chains of one step from longer ones. So the whole step is timed
/// only where it takes little even if all the time of the longer chains went into their steps.
fn whole_step(one: f64, longer: f64, whole: usize) -> Whole {
    let most = longer.max(one) / LONGEST as f64;
    if 2.0 * most * whole as f64 <= BUDGET.as_secs_f64() {
        return Whole::Short;
    }
    let each = match longer > one {
        true => (longer - one) / (LONGEST - 1) as f64,
        false => most,
    };
    Whole::Reckoned(one + each * (whole - 1) as f64)
}

/// The median time of the later half of some steps: the first ones choose algorithms, and record
/// what is replayed.
fn seconds(trial: &mut Trainer) -> Result<f64> {
    let (begun, last) = (Instant::now(), trial.experiment.objective.chains_from());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_never_run_to_be_timed() {
        // Noise can make the longer chains look as short as the others, or shorter.
        for longer in [0.001, 0.0009, 0.0011] {
            let Whole::Reckoned(seconds) = whole_step(0.001, longer, 1_000_000_000_000) else {
                panic!("a chain of a million million steps would be run");
            };
            assert!(seconds > 1e7, "{seconds}");
        }
        assert_eq!(whole_step(0.001, 0.004, 20), Whole::Short);
        assert_eq!(whole_step(1.0, 4.0, 11), Whole::Reckoned(11.0));
    }
}
