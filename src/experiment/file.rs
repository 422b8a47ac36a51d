//! An experiment file: everything that decides a run.

use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::{GuardConfig, ReportConfig, TrainConfig, legacy};
use crate::config::yaml;
use crate::data::DataConfig;
use crate::error::{Error, Result};
use crate::eval::Evaluate;
use crate::models::{ComputeConfig, Model, ModelConfig};
use crate::objective::ObjectiveConfig;
use crate::optim::OptimizerConfig;
use crate::sampling::replay::BufferConfig;
use crate::sampling::{ChainClasses, InitialDistribution, SamplerConfig, Synthesis};
use crate::space::{Space, Values};

/// An experiment: data, model, sampler, objective, optimiser, and how the loop runs.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What the run is called; its folder is `runs/NAME`. The file's own name unless given.
    #[serde(default)]
    pub name: String,
    /// Decides every random number of the run.
    #[serde(default)]
    pub seed: u64,
    /// `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
    #[serde(default = "default_device")]
    pub device: String,
    /// Threads of a tensor operation; null means as many as there are cores.
    #[serde(default)]
    pub threads: Option<u32>,
    /// Only algorithms that repeat bit for bit on CUDA (slower there, free on a CPU).
    #[serde(default)]
    pub deterministic: bool,
    /// Which images.
    pub data: DataConfig,
    /// The model: the path of a file of its own, or what such a file holds, as in a resolved file. The path is
    /// looked for where you are, beside the experiment file, and in the folder above that.
    #[schemars(schema_with = "path_or_model")]
    pub model: ModelConfig,
    /// Which values states take; null means what the shape of the model's input stands for.
    #[serde(default)]
    pub space: Option<SpaceConfig>,
    /// How the model computes: a matter of speed.
    #[serde(default)]
    pub compute: ComputeConfig,
    /// How chains move and where they start; null where nothing runs chains.
    #[serde(default)]
    pub sampler: Option<SamplerConfig>,
    /// Where chains are kept between steps.
    #[serde(default)]
    pub buffer: BufferConfig,
    /// What is minimised.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// How parameters follow their gradient.
    pub optimizer: OptimizerConfig,
    /// How long, how often.
    pub train: TrainConfig,
    /// When a run has diverged.
    #[serde(default)]
    pub guard: GuardConfig,
    /// Pictures and event files.
    #[serde(default)]
    pub report: ReportConfig,
    /// Out-of-distribution tables.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// What a person should know of how the file was read; no part of it.
    #[serde(skip)]
    pub notices: Vec<String>,
}

/// The `space` section.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceConfig {
    /// The values of a state's numbers.
    pub values: Values,
}

impl Experiment {
    /// Reads an experiment file, applies `path.to.key=value` changes, and checks everything that needs no tensor.
    ///
    /// # Errors
    /// Names the file, the key, what was expected and found, and the remedy.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        Self::from_text(&yaml::read(path)?, path, sets)
    }

    /// The same from text that was read from `path`.
    pub fn from_text(text: &str, path: &Path, sets: &[String]) -> Result<Self> {
        let mut tree = yaml::parse(text, path)?;
        let notices = legacy::apply(&mut tree, sets)?;
        inline_model(&mut tree, path)?;
        let mut experiment: Self = yaml::typed(tree, path)?;
        experiment.notices = notices;
        experiment.objective.drop_weightless();
        if experiment.name.is_empty() {
            experiment.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        experiment.check(path)?;
        experiment.data.settle_fit();
        experiment.locate_data(path);
        Ok(experiment)
    }

    /// The same with `path.to.key=value` changes, checked; `place` names them in errors.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn changed(&self, sets: &[String], place: &Path) -> Result<Self> {
        let mut tree = yaml::to_value(self);
        legacy::apply(&mut tree, sets)?;
        let mut changed: Self = yaml::typed(tree, place)?;
        changed.objective.drop_weightless();
        changed.check(place)?;
        Ok(changed)
    }

    /// The states that the model is a function of.
    pub fn space(&self) -> Space {
        let space = self.model.space();
        match self.space {
            Some(SpaceConfig { values }) => Space { values, ..space },
            None => space,
        }
    }

    /// How chains move.
    ///
    /// # Errors
    /// The experiment says nothing of it.
    pub fn sampler(&self) -> Result<&SamplerConfig> {
        self.sampler.as_ref().ok_or_else(|| {
            Error::input(
                "sampler",
                "the experiment says nothing of how chains move",
                "give a section such as sampler: {kernel: {langevin: {step_size: 0.01}}, n_steps: 100}, and by --sampler FILE where a command takes one",
            )
        })
    }

    /// Where fresh chains start.
    pub fn init(&self) -> InitialDistribution {
        self.sampler
            .as_ref()
            .map_or_else(InitialDistribution::default, |sampler| sampler.init)
    }

    /// T of the target exp(-E/T): that of the chains, 1 where there are none.
    pub fn temperature(&self) -> f64 {
        self.sampler.as_ref().map_or(1.0, SamplerConfig::temperature)
    }

    /// Whether training runs chains.
    pub fn runs_chains(&self) -> bool {
        self.objective.asks().chains
    }

    /// Whether the terms' own parameters are averaged as the weights are: where they start chains.
    pub fn averages_terms(&self) -> bool {
        self.objective.asks().generator && self.optimizer.ema.is_some()
    }

    /// Whether training uses labels.
    pub fn uses_labels(&self) -> bool {
        self.objective.asks().labels
    }

    /// Whether chains of training persist between steps.
    pub fn uses_buffer(&self) -> bool {
        self.runs_chains() && self.sampler.as_ref().is_some_and(SamplerConfig::is_persistent)
    }

    /// How many replicas the replay buffer keeps for each of its chains.
    pub fn kept_replicas(&self) -> usize {
        let sampler = self.sampler.as_ref().filter(|_| self.uses_buffer());
        sampler.map_or(0, |s| s.kernel.build(s.n_steps).replicas())
    }

    /// Whether states can be synthesised: something says how chains move, and the objective trains
    /// an energy rather than a classifier alone.
    pub fn synthesises(&self) -> bool {
        self.sampler.is_some() && self.objective.trains_energy()
    }

    /// Which classes the chains of training have.
    pub fn chain_classes(&self) -> ChainClasses {
        match &self.sampler {
            Some(sampler) if self.runs_chains() => sampler.classes,
            _ => ChainClasses::None,
        }
    }

    /// What synthesises states with `model` as this experiment's chains do.
    ///
    /// # Errors
    /// Those of [`sampler`](Self::sampler).
    pub fn synthesis<'a>(&'a self, model: &'a dyn Model) -> Result<Synthesis<'a>> {
        Ok(Synthesis {
            model,
            sampler: self.sampler()?,
            compute: &self.compute,
            cuda_graph: self.train.cuda_graph,
        })
    }

    /// Steps of a chain that draws a picture from noise.
    pub fn sample_steps(&self) -> usize {
        let of_training = self.sampler.as_ref().map_or(0, |sampler| sampler.n_steps);
        self.report.sample_steps.unwrap_or(of_training.saturating_mul(4))
    }
}

/// Replaces the path of a model's file by what the file holds.
fn inline_model(tree: &mut Value, experiment: &Path) -> Result<()> {
    let Some(slot) = tree.get_mut("model") else {
        return Ok(());
    };
    let Some(name) = slot.as_str() else { return Ok(()) };
    let model: ModelConfig = yaml::load(&locate(Path::new(name), experiment))?;
    *slot = yaml::to_value(&model);
    Ok(())
}

/// A path as given, else beside the experiment file, else in the folder above that.
fn locate(path: &Path, experiment: &Path) -> PathBuf {
    let folder = experiment.parent().unwrap_or(Path::new(""));
    let candidates = [path.to_path_buf(), folder.join(path), folder.join("..").join(path)];
    candidates
        .into_iter()
        .find(|p| p.is_file())
        .unwrap_or_else(|| path.to_path_buf())
}

/// What stands at `model`: in a file that a person writes, most often a path.
fn path_or_model(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<ModelConfig>()] })
}

fn default_device() -> String {
    "auto".into()
}
