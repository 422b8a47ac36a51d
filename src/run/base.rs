//! The run whose model is the noise of another run: opened, checked, and held against its record.

use std::path::PathBuf;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tch::Device;

use super::checkpoint::Which;
use super::folder::RunDir;
use super::load::{Trained, Weights, load};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::files;
use crate::models::{Density, ModelConfig};
use crate::objective::BaseRun;
use crate::rng::Stream;

/// The record of the base, in the folder of the run that is trained against it.
pub const BASE: &str = "base.json";

const KEY: &str = "objective.nce.noise.run.path";

/// Which weights a run's noise has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The folder of their run.
    pub path: PathBuf,
    /// The step of their checkpoint.
    pub step: u64,
    /// Their SHA-256, averaged where the run keeps an average.
    pub sha256: String,
}

/// The density that an experiment asks for, with its record.
#[derive(Debug)]
pub struct Base {
    /// The model's, at present weights.
    pub density: Rc<dyn Density>,
    /// Where it comes from.
    pub record: Record,
    /// Damaged checkpoints that were passed over.
    pub passed_over: Vec<Error>,
}

/// Loads the run that the objective names; none where it names none.
///
/// # Errors
/// A folder without a run, no such checkpoint, states of another shape, a model that is not normalised.
pub fn open(e: &Experiment, device: Device) -> Result<Option<Base>> {
    let Some(asked) = e.objective.base() else {
        return Ok(None);
    };
    let trained = trained(asked, e, device)?;
    let density = trained.model.density().ok_or_else(|| not_normalised(asked, &trained))?;
    let weights = files::encode(&trained.model.state().into_iter().collect())?;
    Ok(Some(Base {
        density,
        record: Record {
            path: asked.path.clone(),
            step: trained.step,
            sha256: files::sha256(&weights),
        },
        passed_over: trained.passed_over,
    }))
}

/// The run with its model, of the shape and temperature that are due.
fn trained(asked: &BaseRun, e: &Experiment, device: Device) -> Result<Trained> {
    let path = asked.path.display();
    let run = RunDir::open(&asked.path).map_err(|e| match e {
        Error::Input { place, what, .. } => Error::input(
            KEY,
            format!("{place}: {what}"),
            "give the folder of a run of the model gaussian-mixture",
        ),
        other => other,
    })?;
    let other = run.experiment()?;
    let (there, here) = (other.model.input(), e.model.input());
    if there != here {
        return Err(Error::input(
            KEY,
            format!(
                "{path} is a base density of another shape: its states are {there:?}, those of this model {here:?}"
            ),
            format!("give a run of a model with input: {here:?}"),
        ));
    }
    let temperature = other.temperature();
    if other.model.as_network().is_none() && temperature != 1.0 {
        return Err(Error::input(
            KEY,
            format!("{path} has chains of temperature {temperature}, at which exp(-E/T) is not normalised"),
            "give a run without chains, or with those of temperature 1",
        ));
    }
    load(&run, asked.step.map_or(Which::Last, Which::Step), Weights::Ema, device)
}

fn not_normalised(asked: &BaseRun, trained: &Trained) -> Error {
    Error::input(
        KEY,
        format!(
            "{} has the model `{}`, whose density is not known with its constant",
            asked.path.display(),
            trained.experiment.model.name()
        ),
        format!("give a run of one of these models: {}", normalised().join(", ")),
    )
}

/// The names of the kinds of models that can be a base.
fn normalised() -> Vec<String> {
    let is = |model: &ModelConfig| {
        let built = model.build(Device::Cpu, &mut Stream::new(0, "init"));
        built.is_ok_and(|model| model.density().is_some())
    };
    let examples = ModelConfig::examples().into_iter().filter(is);
    examples.map(|model| model.name().to_owned()).collect()
}

/// Settles which checkpoint the noise comes from, and holds it against the record of a run that is there.
///
/// # Errors
/// Those of [`open`], and weights that are not those of the run.
pub fn settle(e: &mut Experiment, run: Option<&RunDir>, device: Device) -> Result<Option<Base>> {
    let Some(base) = open(e, device)? else {
        return Ok(None);
    };
    if let Some(run) = run {
        ensure_same(run, &base.record)?;
    }
    if let Some(asked) = e.objective.base_mut() {
        asked.step = Some(base.record.step);
    }
    Ok(Some(base))
}

/// The folder may have moved; the weights may not have changed.
fn ensure_same(run: &RunDir, now: &Record) -> Result<()> {
    let file = run.path().join(BASE);
    let then: Record = run.read_json(BASE).ok_or_else(|| {
        Error::file(
            &file,
            "cannot be read as the record of the run's noise",
            "put the file back as `ebm train` wrote it",
        )
    })?;
    if (then.step, &then.sha256) == (now.step, &now.sha256) {
        return Ok(());
    }
    Err(Error::input(
        KEY,
        format!(
            "{} is not the noise that {} was started with: the weights of step {} are others",
            now.path.display(),
            run.path().display(),
            now.step
        ),
        "put the folder of that run back as it was, or start another run with --out",
    ))
}
