//! An experiment file: everything that decides a run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::{GuardConfig, ReportConfig, TrainConfig, legacy};
use crate::buffer::BufferConfig;
use crate::config::yaml;
use crate::data::DataConfig;
use crate::error::Result;
use crate::eval::Evaluate;
use crate::nn::{ModelConfig, Network};
use crate::objective::ObjectiveConfig;
use crate::optim::OptimizerConfig;
use crate::sampling::{SamplerConfig, Synthesis};

/// An experiment: data, model, sampler, objective, optimiser, and how the loop runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The network: in an experiment file the path of an architecture file, in a resolved one the architecture itself.
    pub model: ModelConfig,
    /// How chains move.
    pub sampler: SamplerConfig,
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
        for assignment in sets {
            yaml::set(&mut tree, assignment)?;
        }
        inline_model(&mut tree, path)?;
        let notices = legacy::objective(&mut tree).into_iter().collect();
        let mut experiment: Self = yaml::typed(tree, path)?;
        experiment.notices = notices;
        if experiment.name.is_empty() {
            experiment.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        experiment.check(path)?;
        experiment.data.settle_fit();
        experiment.locate_data(path);
        Ok(experiment)
    }

    /// What synthesises images with `network` as this experiment's chains do.
    pub fn synthesis<'a>(&'a self, network: &'a Network) -> Synthesis<'a> {
        Synthesis {
            network,
            sampler: &self.sampler,
            cuda_graph: self.train.cuda_graph,
        }
    }

    /// Steps of a chain that draws a picture from noise.
    pub fn sample_steps(&self) -> usize {
        self.report
            .sample_steps
            .unwrap_or(self.sampler.n_steps.saturating_mul(4))
    }
}

/// Replaces the path of an architecture file by what the file holds.
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

fn default_device() -> String {
    "auto".into()
}
