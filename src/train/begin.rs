//! How a run begins, or is gone on with: its data, its budget of steps, its folder and its state.

use std::path::Path;

use tch::Device;

use super::budget::{self, Budget};
use super::chain_form;
use super::ready::resolve;
use super::results::Results;
use super::state::State;
use super::tables;
use super::trainer::Trainer;
use crate::config::yaml;
use crate::data::{self, ClassShares, DataSet};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::run::base::{self, BASE, Base};
use crate::run::own_data::{self, DATA};
use crate::run::{Listener, RunDir, Weights, Which, checkpoint, environment, load};
use crate::sampling::Starter;

/// What the guard saw, in the folder of a run that gave up.
const DIVERGENCE: &str = "divergence.json";

/// A run that is to be trained.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The experiment file, which errors name and the run's folder keeps.
    pub file: &'a Path,
    /// The run's folder: absent, or there where `resume` says so.
    pub out: &'a Path,
    /// Whether the run that is there goes on.
    pub resume: bool,
    /// The folder of the run whose averaged weights a new run begins with.
    pub init_from: Option<&'a Path>,
}

/// What there is to do for a run.
pub enum Begun {
    /// Nothing: these are its results.
    Finished(Box<Results>, RunDir),
    /// Training, from where the run stands.
    Ready(Box<Trainer>),
}

impl Start<'_> {
    /// Opens the data, builds the network, and makes the run's folder or goes on with it.
    ///
    /// The experiment takes over this machine's choices, and on resume those of the run. The
    /// listener hears of the data, of what was measured on this machine, and of the step.
    ///
    /// # Errors
    /// Whatever keeps the experiment from being trained, and a run that cannot go on with it.
    pub fn begin(&self, mut experiment: Experiment, listener: &dyn Listener) -> Result<Begun> {
        let existing = if self.resume {
            Some(RunDir::open(self.out)?)
        } else {
            None
        };
        if let Some(run) = &existing {
            let stored = run.experiment()?;
            experiment.adopt(&stored);
            budget::adopt(&mut experiment, &stored, run, self.file)?;
            experiment.check_resume(&stored, self.file)?;
            ensure_not_given_up(run)?;
        }
        let device = resolve(&mut experiment, self.file)?;
        if existing.is_none() {
            RunDir::ensure_absent(self.out)?;
        }
        if let Some(run) = &existing
            && let Some(results) = finished(run, &experiment)?
        {
            return Ok(Begun::Finished(Box::new(results), run.clone()));
        }
        let trainer = self.prepare(experiment, existing, device, listener)?;
        Ok(Begun::Ready(Box::new(trainer)))
    }

    /// Only once the data are open and the network is built is the folder made, or gone on with.
    fn prepare(
        &self,
        mut experiment: Experiment,
        existing: Option<RunDir>,
        device: Device,
        listener: &dyn Listener,
    ) -> Result<Trainer> {
        let source = self.init_from.map(RunDir::open).transpose()?;
        let base = base::settle(&mut experiment, existing.as_ref(), device)?;
        let data = open_data(&experiment, existing.as_ref(), device, listener)?;
        let starter = Starter::new(&experiment.init(), &experiment.space(), Some(&data.train), device)?;
        let (budget, data, starter) = budget::settle(&mut experiment, data, starter, device, self.file, listener)?;
        let mut state = State::new(&experiment, &data, &starter, device)?;
        warn_of_absent_classes(&state, &data);
        if let Some(source) = &source {
            let other = load(source, Which::Last, Weights::Ema, device)?;
            warn_of_passed_over(&other.passed_over);
            state.start_from(&*other.model, &experiment, &source.path().display().to_string())?;
        }
        chain_form::choose(&mut experiment, &*state.model, listener);
        if let Some(base) = &base {
            warn_of_passed_over(&base.passed_over);
            let (path, step) = (base.record.path.display(), base.record.step);
            listener.says(&format!("noise: the model of {path} at step {step}"));
        }
        let run = match existing {
            Some(run) => run,
            None => self.create(&experiment, &data, budget.as_ref(), base.as_ref(), &state)?,
        };
        let mut trainer = Trainer::new(experiment, data, starter, run, device, state)?;
        if self.resume {
            go_on(&mut trainer, listener)?;
        }
        environment::note(
            trainer.run_dir(),
            trainer.experiment(),
            trainer.state().step,
            self.init_from,
        )?;
        Ok(trainer)
    }

    /// The folder of a new run, with the records of its data, of its budget and of its noise.
    fn create(
        &self,
        e: &Experiment,
        data: &DataSet,
        budget: Option<&Budget>,
        base: Option<&Base>,
        state: &State,
    ) -> Result<RunDir> {
        RunDir::create(self.out, &yaml::read(self.file)?, e, |staged| {
            staged.write_json(DATA, &data.record)?;
            budget.iter().try_for_each(|b| staged.write_json(budget::FILE, b))?;
            base.iter().try_for_each(|b| staged.write_json(BASE, &b.record))?;
            // A run that stops, or diverges, before its first checkpoint must find the weights that
            // it was given.
            match self.init_from {
                Some(_) => checkpoint::write(staged, &yaml::to_text(e), &state.contents(), 1).map(drop),
                None => Ok(()),
            }
        })
    }
}

/// Writes down what the guard saw in a run that gave up; such a run cannot go on.
///
/// # Errors
/// When the file cannot be written.
pub fn give_up(trainer: &Trainer) -> Result<()> {
    trainer.run_dir().write_json(DIVERGENCE, &trainer.state().divergences)
}

/// Refuses to go on with a run that gave up: the same steps would end in the same divergence.
fn ensure_not_given_up(run: &RunDir) -> Result<()> {
    if !run.path().join(DIVERGENCE).exists() {
        return Ok(());
    }
    Err(Error::file(
        run.path(),
        "the run diverged too often and gave up; divergence.json has what was seen",
        "start another run with --out, --init-from this one, and a lower optimizer.lr or a larger energy_reg of the objective; or train anew after removing the folder",
    ))
}

/// The results of a run that has nothing left to do, as it is asked for now.
fn finished(run: &RunDir, experiment: &Experiment) -> Result<Option<Results>> {
    let stored = run.experiment()?;
    if (&stored.evaluate, &stored.report) != (&experiment.evaluate, &experiment.report) {
        return Ok(None);
    }
    let last = checkpoint::steps(run)?.last().copied();
    let Some(step) = last.filter(|step| *step >= experiment.train.steps) else {
        return Ok(None);
    };
    let Some(sealed) = checkpoint::sealed(run, step) else {
        return Ok(None);
    };
    checkpoint::ensure_agrees(run, &stored, step, &sealed)?;
    Ok(Results::of(run, step))
}

/// The images to train on, held against the record of a run that is there.
fn open_data(e: &Experiment, run: Option<&RunDir>, device: Device, listener: &dyn Listener) -> Result<DataSet> {
    let data = match run {
        Some(run) => own_data::open(run, e, device)?,
        None => data::open(&e.data, e.model.input(), device)?,
    };
    listener.says(&format!(
        "data: {} training, {} validation, {} test {} on {}",
        data.train.len(),
        data.validation.len(),
        data.test.len(),
        e.space().plural(),
        e.device,
    ));
    tables::ensure_outside(e, device)?;
    if let Some(run) = run {
        own_data::ensure_same_limit(run, &data.record)?;
    }
    Ok(data)
}

/// Names the classes for which p(x|y) learns nothing.
fn warn_of_absent_classes(state: &State, data: &DataSet) {
    let absent = state.shares.iter().flat_map(ClassShares::absent);
    let names: Vec<String> = absent.map(|class| format!("`{}`", data.train.classes[class])).collect();
    if !names.is_empty() {
        log::warn!(
            "no labelled image is of class {}, so no chain is, and p(x|y) learns nothing of it",
            names.join(", ")
        );
    }
}

fn warn_of_passed_over(errors: &[Error]) {
    errors.iter().for_each(|e| log::warn!("passed over: {e}"));
}

/// Goes to the last checkpoint. What may change on resume is written down once the run is found to
/// be usable.
fn go_on(trainer: &mut Trainer, listener: &dyn Listener) -> Result<()> {
    let (found, passed_over) = trainer.restore()?;
    warn_of_passed_over(&passed_over);
    match found {
        true => listener.says(&format!("going on from step {}", trainer.state().step)),
        false => listener.says("the run has no checkpoint yet: starting again from step 0"),
    }
    trainer.run_dir().set_experiment(trainer.experiment())
}
