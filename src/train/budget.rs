//! What a run takes: how many steps fit into minutes, and how long so many steps last.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Device;

use super::chain_form;
use super::pace::{Pace, rehearse};
use super::results::FINAL_IMAGES;
use super::tables;
use crate::config::yaml;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::nn::thousands;
use crate::rng::Stream;
use crate::run::{Listener, RunDir};
use crate::sampling::Starter;

/// The record in the folder of a run whose steps were found from minutes.
pub(super) const FILE: &str = "budget.json";

/// How the steps of a run were found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Budget {
    /// `train.minutes` as it was given.
    minutes: f64,
    /// What a step took when the run began, before chains and with them.
    seconds_a_step: [f64; 2],
    /// How many steps were found to fit.
    steps: u64,
}

/// Seconds of a run, by what they go to.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Training steps.
    pub steps: f64,
    /// Pictures along the way and at the end, and the chains that the quality monitor looks at.
    pub pictures: f64,
}

/// What a run takes on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Forecast {
    /// How many steps it makes.
    pub steps: u64,
    /// What one takes.
    pub pace: Pace,
    /// What all take, with the pictures along the way.
    pub cost: Cost,
}

/// Opens the sets of the tables and times steps on the data. The experiment takes over this
/// machine's choices, and its steps where it gives minutes; the listener hears of both.
///
/// # Errors
/// Sets that are not there, a state that cannot be made, a step that cannot be run, and minutes
/// that are too few.
pub fn forecast(
    e: &mut Experiment,
    data: DataSet,
    device: Device,
    file: &Path,
    listener: &dyn Listener,
) -> Result<Forecast> {
    tables::ensure_outside(e, device)?;
    let starter = Starter::new(&e.init(), &e.space(), Some(&data.train), device)?;
    let (pace, data, _) = pace(e, data, starter, device, listener)?;
    drop(data);
    let steps = match e.train.minutes.take() {
        Some(minutes) => fit(e, minutes, pace, file, listener).map(|_| e.train.steps)?,
        None => e.train.steps,
    };
    let cost = cost(e, pace, steps);
    Ok(Forecast { steps, pace, cost })
}

/// The time of so many steps. A picture is reckoned by its steps of chains, as much a step as in
/// training.
fn cost(e: &Experiment, pace: Pace, steps: u64) -> Cost {
    let early = steps.min(e.objective.chains_from());
    let times = |every: u64| steps.checked_div(every).unwrap_or(0) as f64;
    let (picture, look) = (drawing(e, pace, e.report.images), drawing(e, pace, e.evaluate.images));
    Cost {
        steps: early as f64 * pace.before + (steps - early) as f64 * pace.step,
        pictures: times(e.report.every) * picture + times(e.evaluate.every) * look + last(e, pace),
    }
}

/// Seconds to draw so many images by fresh chains.
fn drawing(e: &Experiment, pace: Pace, images: usize) -> f64 {
    if !e.runs_chains() {
        return 0.0;
    }
    let n_steps = e.sampler.as_ref().map_or(1, |sampler| sampler.n_steps);
    let of_training = (e.train.batch_size * n_steps) as f64;
    pace.step * images as f64 * e.sample_steps() as f64 / of_training
}

/// The grid of the finished run.
fn last(e: &Experiment, pace: Pace) -> f64 {
    drawing(e, pace, e.report.images.max(FINAL_IMAGES))
}

/// The most steps that fit into so many seconds; 0 where none does.
fn fitting(e: &Experiment, pace: Pace, seconds: f64) -> u64 {
    let fits = |steps: u64| {
        let cost = cost(e, pace, steps);
        cost.steps + cost.pictures <= seconds
    };
    let mut beyond = 1_u64;
    while beyond < 1 << 52 && fits(beyond) {
        beyond *= 2;
    }
    let mut steps = beyond / 2;
    while beyond - steps > 1 {
        let middle = steps + (beyond - steps) / 2;
        *if fits(middle) { &mut steps } else { &mut beyond } = middle;
    }
    steps
}

/// Times steps as the experiment will run them, once its precision and layout are chosen; gives
/// data and starter back.
fn pace(
    e: &mut Experiment,
    data: DataSet,
    starter: Starter,
    device: Device,
    listener: &dyn Listener,
) -> Result<(Pace, DataSet, Starter)> {
    let model = e.model.build(device, &mut Stream::new(e.seed, "init"))?;
    chain_form::choose(e, &*model, listener);
    drop(model);
    rehearse(e, data, starter, device)
}

/// Finds the steps of an experiment that gives minutes in their place; gives data and starter back.
///
/// # Errors
/// Those of [`fit`].
pub(super) fn settle(
    e: &mut Experiment,
    data: DataSet,
    starter: Starter,
    device: Device,
    file: &Path,
    listener: &dyn Listener,
) -> Result<(Option<Budget>, DataSet, Starter)> {
    let Some(minutes) = e.train.minutes else {
        return Ok((None, data, starter));
    };
    let (pace, data, starter) = pace(e, data, starter, device, listener)?;
    Ok((Some(fit(e, minutes, pace, file, listener)?), data, starter))
}

/// Finds `train.steps` for `train.minutes` and writes it into the experiment, which then counts its
/// steps.
///
/// # Errors
/// Where not even one step fits, or the steps that do are too few for other keys.
fn fit(e: &mut Experiment, minutes: f64, pace: Pace, file: &Path, listener: &dyn Listener) -> Result<Budget> {
    let steps = fitting(e, pace, 60.0 * minutes);
    if steps == 0 {
        let least = cost(e, pace, 1);
        return Err(yaml::config(
            file,
            "train.minutes",
            format!(
                "{minutes} are too few: a step takes {:.3} s here, and the pictures of the end about {:.1} s",
                pace.step, least.pictures
            ),
            "give more minutes, a smaller network, fewer sampler.n_steps, or fewer report.sample_steps",
        ));
    }
    (e.train.steps, e.train.minutes) = (steps, None);
    e.check(file)?;
    listener.says(&format!(
        "train.minutes {minutes}: a step takes {:.3} s here, so train.steps is {}",
        pace.step,
        thousands(steps)
    ));
    Ok(Budget {
        minutes,
        seconds_a_step: [pace.before, pace.step],
        steps,
    })
}

/// Takes over the steps that a run found for its minutes when it began, where the same minutes are
/// asked for.
///
/// # Errors
/// Other minutes than the run began with.
pub(super) fn adopt(e: &mut Experiment, stored: &Experiment, run: &RunDir, file: &Path) -> Result<()> {
    let Some(minutes) = e.train.minutes else { return Ok(()) };
    let began: Option<Budget> = run.read_json(FILE);
    let what = match began {
        Some(budget) if budget.minutes == minutes => {
            (e.train.steps, e.train.minutes) = (stored.train.steps, None);
            return Ok(());
        }
        Some(budget) => format!(
            "the run began with {} minutes, {minutes} are given here",
            budget.minutes
        ),
        None => format!("the run counts its steps, {} in all", stored.train.steps),
    };
    Err(yaml::config(
        file,
        "train.minutes",
        format!("cannot change when a run is resumed: {what}"),
        format!(
            "go on with {}, and train longer by --set train.steps=N",
            run.resolved().display()
        ),
    ))
}
