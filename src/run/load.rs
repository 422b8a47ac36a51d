//! A trained run as others use it: its configuration, and its model with the chosen weights.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tch::Device;

use super::checkpoint::{self, Contents, Sealed, TERMS_EMA, Which};
use super::folder::RunDir;
use crate::config::yaml;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::files::Named;
use crate::models::Model;
use crate::nn::Network;
use crate::objective::Generator;
use crate::optim::Ema;
use crate::rng::Stream;

/// Which weights of a checkpoint are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The moving average where the run keeps one, else the raw weights.
    Ema,
    /// The weights as the last update left them.
    Raw,
}

impl Weights {
    /// The word in files and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ema => "ema",
            Self::Raw => "raw",
        }
    }
}

/// A trained model with what it came from.
pub struct Trained {
    /// The run's configuration.
    pub experiment: Experiment,
    /// The model, its weights loaded.
    pub model: Box<dyn Model>,
    /// The step of the checkpoint.
    pub step: u64,
    /// The persistent chains as the checkpoint stores them, where there are any.
    pub buffer: Option<Named>,
    /// The generator that the run's chains start from, where a term has one and it was trained with the weights.
    pub generator: Option<Generator>,
    /// Damaged checkpoints that were passed over.
    pub passed_over: Vec<Error>,
}

impl Trained {
    /// The network, for what is of its layers.
    ///
    /// # Errors
    /// The model is no network.
    pub fn network(&self) -> Result<&Network> {
        self.model.as_network().ok_or_else(|| {
            Error::input(
                format!("model `{}`", self.experiment.model.name()),
                "is no network, and this is about the layers of one",
                "use the run of a network",
            )
        })
    }
}

/// Loads the model of a run.
///
/// # Errors
/// When the run has no such checkpoint, or it is damaged, or of another architecture or configuration than the run.
pub fn load(run: &RunDir, which: Which, weights: Weights, device: Device) -> Result<Trained> {
    let experiment = run.experiment()?;
    let (sealed, passed_over) = checkpoint::pick::<serde_json::Value>(run, which)?;
    let Sealed {
        experiment: made_with,
        mut contents,
    } = sealed;
    let model = experiment
        .model
        .build(device, &mut Stream::new(experiment.seed, "init"))?;
    let place = format!("{}, checkpoint of step {}", run.path().display(), contents.step);
    let missing = || Error::input(&place, "has no weights.safetensors", "use another checkpoint");
    let raw = contents.tensors.remove("weights").ok_or_else(missing)?;
    match (weights, contents.tensors.remove("ema")) {
        (Weights::Ema, Some(ema)) => model.load_averaged(raw, ema, &place)?,
        _ => model.load(&raw, &place)?,
    }
    checkpoint::ensure_agrees(run, &experiment, contents.step, &made_with)?;
    let saved = [TERMS_EMA, "objective"].map(|stem| contents.tensors.remove(stem));
    let generator = match (weights, saved) {
        (Weights::Ema, [Some(averaged), _]) => Some(Ema::weights_of(averaged)),
        (_, [_, raw]) => raw,
    };
    let of = |saved: Named| {
        experiment
            .objective
            .generator(&experiment.space(), &saved, &place, device)
    };
    let generator = generator.map(of).transpose()?.flatten();
    Ok(Trained {
        generator,
        experiment,
        model,
        step: contents.step,
        buffer: contents.tensors.remove("buffer"),
        passed_over,
    })
}

/// Makes a run of weights that were trained elsewhere: a checkpoint of step 0 and a configuration.
///
/// # Errors
/// When the tensors are not exactly those of the architecture; no folder is made then.
pub fn import(path: &Path, experiment: &Experiment, tensors: &Named, place: &str) -> Result<RunDir> {
    let model = experiment
        .model
        .build(Device::Cpu, &mut Stream::new(experiment.seed, "init"))?;
    model.load(tensors, place)?;
    let text = yaml::to_text(experiment);
    let weights = model.state().into_iter().collect();
    let contents = Contents {
        step: 0,
        tensors: BTreeMap::from([("weights".to_owned(), weights)]),
        record: Imported {
            imported_from: place.to_owned(),
        },
    };
    RunDir::create(path, &text, experiment, |staged| {
        checkpoint::write(staged, &text, &contents, 1).map(drop)
    })
}

/// The record of a checkpoint that no training made.
#[derive(Serialize)]
struct Imported {
    imported_from: String,
}
