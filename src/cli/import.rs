//! `ebm import FILE --model M --out RUN`: weights that were trained elsewhere become a run.

use std::path::{Path, PathBuf};

use super::foreign;
use super::progress::say;
use super::status::Status;
use crate::config::yaml;
use crate::error::{Error, Result, shown, shown_path};
use crate::experiment::Experiment;
use crate::files::{self, Named};
use crate::nn;
use crate::nn::rename::{self, NameMap};
use crate::nn::{ModelConfig, Output};
use crate::train::{self, RunDir};

/// What an imported run is sampled with unless --sampler says otherwise, and the keys that only training reads.
const TEMPLATE: &str = "
data: {dataset: none}
sampler: {n_steps: 60, step_size: 10, noise_scale: 0.005, grad_clip: {value: 0.03}, clamp: [-1, 1], order: [noise, clamp, gradient, clamp]}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-4}
train: {steps: 1, batch_size: 64}
";

#[derive(clap::Args)]
pub struct Args {
    /// The safetensors file: a PyTorch state dict
    file: PathBuf,
    /// The architecture file of the network
    #[arg(long)]
    model: PathBuf,
    /// The folder of the run to make
    #[arg(long)]
    out: PathBuf,
    /// Take only tensors whose name begins so, and remove it
    #[arg(long, default_value = "")]
    prefix: String,
    /// A YAML file that maps names in FILE, without the prefix, to names of the network; one that ends in a dot maps
    /// every name that begins so
    #[arg(long)]
    map: Option<PathBuf>,
    /// The network's number is -E(x) rather than E(x)
    #[arg(long)]
    negate: bool,
    /// A file with the sampler of this model: an experiment file, or its sampler section alone
    #[arg(long)]
    sampler: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let experiment = experiment(args)?;
    nn::describe(&experiment.model, &args.model)?;
    RunDir::ensure_absent(&args.out)?;
    let place = args.file.display().to_string();
    foreign::refuse(&args.file)?;
    let tensors = renamed(files::read(&args.file)?, args)?;
    let run = train::import(&args.out, &experiment, &tensors, &place)?;
    say(&format!(
        "{}: {} tensors; try `ebm sample {0}` and `ebm score {0} IMAGES`",
        shown_path(run.path()),
        tensors.len()
    ));
    Ok(Status::Done)
}

/// The configuration of the run: the network, a sampler, and a template for the rest.
fn experiment(args: &Args) -> Result<Experiment> {
    let mut model: ModelConfig = yaml::load(&args.model)?;
    if args.negate {
        model.output = negated(model.output, &args.model)?;
    }
    let mut tree = yaml::parse(TEMPLATE, Path::new("template"))?;
    tree["model"] = yaml::to_value(&model);
    tree["name"] = args.out.file_name().unwrap_or_default().to_string_lossy().into();
    if model.reference_std.is_some() && args.sampler.is_none() {
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
    let experiment: Experiment = yaml::typed(tree, source)?;
    experiment.check(source)?;
    Ok(experiment)
}

/// The same output read with the other sign.
fn negated(output: Output, model: &Path) -> Result<Output> {
    match output {
        Output::Energy => Ok(Output::NegativeEnergy),
        Output::NegativeEnergy => Ok(Output::Energy),
        Output::Logits => Err(Error::file(
            model,
            "gives logits, whose sign --negate cannot turn: E(x) = -logsumexp f(x)",
            "leave --negate out",
        )),
    }
}

/// The tensors under the prefix, by the network's names, in single precision; says what it left out and added.
fn renamed(tensors: Named, args: &Args) -> Result<Named> {
    let file = shown_path(&args.file);
    let (own, others) = rename::below(&args.prefix, tensors, &args.file)?;
    if others > 0 {
        say(&format!(
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
        say(&format!(
            "{file}: {added} batch norms have no num_batches_tracked, which is taken as 0"
        ));
    }
    Ok(rename::in_single_precision(named))
}
