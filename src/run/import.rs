//! Files of weights that were trained elsewhere, as runs.

use std::path::{Path, PathBuf};

use super::folder::RunDir;
use super::foreign;
use super::listener::Listener;
use super::load;
use crate::config::yaml;
use crate::error::{Error, Result, shown, shown_path};
use crate::experiment::{Experiment, legacy};
use crate::files::{self, Named};
use crate::models::ModelConfig;
use crate::nn::Output;
use crate::nn::rename::{self, NameMap};

/// What an imported run is sampled with unless --sampler says otherwise, and the keys that only
/// training reads.
const TEMPLATE: &str = "
data: {dataset: none}
sampler: {n_steps: 60, step_size: 10, noise_scale: 0.005, grad_clip: {value: 0.03}, clamp: [-1, 1], order: [noise, clamp, gradient, clamp]}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-4}
train: {steps: 1, batch_size: 64}
";

/// Weights that were trained elsewhere, and the run that they become.
#[derive(Debug, Clone)]
pub struct Import {
    /// The safetensors file: a PyTorch state dict.
    pub file: PathBuf,
    /// The architecture file of the network.
    pub model: PathBuf,
    /// The folder of the run to make.
    pub out: PathBuf,
    /// Only tensors whose name begins so are taken, without it.
    pub prefix: String,
    /// A YAML file that maps names in the file to names of the network.
    pub map: Option<PathBuf>,
    /// Whether the network's number is -E(x) rather than E(x).
    pub negate: bool,
    /// An experiment file with the sampler of this model, or its sampler section alone.
    pub sampler: Option<PathBuf>,
}

impl Import {
    /// Makes the run; gives it and how many tensors it has. The listener hears what was left out or
    /// added.
    ///
    /// # Errors
    /// A file that cannot be read or is of another form, tensors that are not those of the
    /// architecture, and a folder that is there already.
    pub fn run(&self, listener: &dyn Listener) -> Result<(RunDir, usize)> {
        let experiment = experiment(self)?;
        experiment.model.describe(&self.model)?;
        RunDir::ensure_absent(&self.out)?;
        let place = self.file.display().to_string();
        foreign::refuse(&self.file)?;
        let tensors = renamed(files::read(&self.file)?, self, listener)?;
        let run = load::import(&self.out, &experiment, &tensors, &place)?;
        Ok((run, tensors.len()))
    }
}

/// The configuration of the run: the network, a sampler, and a template for the rest.
fn experiment(args: &Import) -> Result<Experiment> {
    let mut model: ModelConfig = yaml::load(&args.model)?;
    if args.negate {
        negate(&mut model, &args.model)?;
    }
    let mut tree = yaml::parse(TEMPLATE, Path::new("template"))?;
    tree["model"] = yaml::to_value(&model);
    tree["name"] = args.out.file_name().unwrap_or_default().to_string_lossy().into();
    let has_reference = model
        .as_network()
        .is_some_and(|network| network.reference_std.is_some());
    if has_reference && args.sampler.is_none() {
        return Err(Error::file(
            &args.model,
            "has a Gaussian reference, which the temperature of the sampler weighs",
            "give the model's own sampler by --sampler FILE",
        ));
    }
    let mut source = args.out.as_path();
    if let Some(path) = &args.sampler {
        let given = yaml::parse(&yaml::read(path)?, path)?;
        tree["sampler"] = given.get("sampler").cloned().unwrap_or(given);
        source = path;
    }
    legacy::upgrade(&mut tree);
    let experiment: Experiment = yaml::typed(tree, source)?;
    experiment.check(source)?;
    Ok(experiment)
}

/// Has the output of a network read with the other sign.
fn negate(model: &mut ModelConfig, file: &Path) -> Result<()> {
    let refused = |what| Err(Error::file(file, what, "leave --negate out"));
    let ModelConfig::Network(network) = model else {
        return refused("is of no network, whose sign --negate could turn");
    };
    network.output = match network.output {
        Output::Energy => Output::NegativeEnergy,
        Output::NegativeEnergy => Output::Energy,
        Output::Logits => return refused("gives logits, whose sign --negate cannot turn: E(x) = -logsumexp f(x)"),
    };
    Ok(())
}

/// The tensors under the prefix, by the network's names, in single precision; the listener hears
/// what was left out and added.
fn renamed(tensors: Named, args: &Import, listener: &dyn Listener) -> Result<Named> {
    let file = shown_path(&args.file);
    let (own, others) = rename::below(&args.prefix, tensors, &args.file)?;
    if others > 0 {
        listener.says(&format!(
            "{file}: {others} tensors whose names do not begin with `{}` are left out",
            shown(&args.prefix)
        ));
    }
    let mut named = match &args.map {
        Some(map) => NameMap::load(map)?.apply(own, &args.file)?,
        None => own,
    };
    let added = rename::count_batches(&mut named);
    if added > 0 {
        listener.says(&format!(
            "{file}: {added} batch norms have no num_batches_tracked, which is taken as 0"
        ));
    }
    Ok(rename::in_single_precision(named))
}
