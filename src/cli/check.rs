//! `ebm check FILE`: accepts or refuses a file, and prints what it describes.

use std::path::{Path, PathBuf};

use super::Status;
use super::progress::say;
use crate::config::{Experiment, ModelConfig, yaml};
use crate::data;
use crate::error::{Error, Result};
use crate::nn::{self, thousands};
use crate::sampling::Langevin;

#[derive(clap::Args)]
pub struct Args {
    /// An experiment file or an architecture file
    file: PathBuf,
    /// Change a key of an experiment, as path.to.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let tree = yaml::parse(&yaml::read(&args.file)?, &args.file)?;
    if tree.get("layers").is_some() {
        refuse_sets(args)?;
        let model: ModelConfig = yaml::typed(tree, &args.file)?;
        print_model(&model, &nn::describe(&model, &args.file)?);
    } else {
        let experiment = Experiment::load(&args.file, &args.sets)?;
        say_notices(&experiment);
        let summary = consistent(&experiment, &args.file)?;
        data::look_through(&experiment.data.dataset)?;
        print_model(&experiment.model, &summary);
        print_experiment(&experiment);
    }
    Ok(Status::Done)
}

/// Says how a file was read, where that needs a word.
pub fn say_notices(experiment: &Experiment) {
    let say_one = |notice: &String| say(&format!("notice: {notice}"));
    experiment.notices.iter().for_each(say_one);
}

/// An architecture file has no keys that an option could change.
fn refuse_sets(args: &Args) -> Result<()> {
    match args.sets.first() {
        None => Ok(()),
        Some(set) => Err(Error::input(
            format!("--set {set}"),
            format!("{} is an architecture file", args.file.display()),
            "give --set with an experiment file, or edit the file",
        )),
    }
}

/// The checks of an experiment that go beyond its own keys: the network can be built, and fits the data.
pub fn consistent(experiment: &Experiment, file: &Path) -> Result<nn::Summary> {
    let summary = nn::describe(&experiment.model, file).map_err(inside_model)?;
    data::check_shape(&experiment.data, experiment.model.input)?;
    Ok(summary)
}

/// Puts `model.` before the key of an error in an architecture that stands inside an experiment.
fn inside_model(error: Error) -> Error {
    match error {
        Error::Config {
            file,
            key,
            what,
            remedy,
        } => Error::Config {
            file,
            key: format!("model.{key}"),
            what,
            remedy,
        },
        other => other,
    }
}

fn print_model(model: &ModelConfig, summary: &nn::Summary) {
    let [c, h, w] = model.input;
    let normalized = if model.normalize.is_some() {
        ", each channel normalised"
    } else {
        ""
    };
    println!("{}: {c}x{h}x{w}{normalized} -> {}\n", model.name, output_word(model));
    print!("{summary}");
}

fn output_word(model: &ModelConfig) -> &'static str {
    match model.output {
        crate::config::Output::Energy => "one energy E(x), low = likely",
        crate::config::Output::NegativeEnergy => "one number f(x) = -E(x), high = likely",
        crate::config::Output::Logits => "logits f(x), a class each; E(x) = -logsumexp f(x)",
    }
}

fn print_experiment(e: &Experiment) {
    let kernel = Langevin::new(&e.sampler, e.sampler.n_steps);
    let images = e.train.steps.saturating_mul(e.train.batch_size as u64);
    println!(
        "\n{}: {} steps of batch {} ({} images)",
        e.name,
        thousands(e.train.steps),
        e.train.batch_size,
        thousands(images)
    );
    let inner = e.sampler.inner.map_or_else(String::new, |i| {
        format!(", {} inner steps of {} in each", i.steps, i.step_size)
    });
    println!(
        "chain: {} steps of step_size {}{inner} and noise_scale {:.4e}, that is temperature {:.4e}",
        e.sampler.n_steps,
        e.sampler.step_size,
        kernel.noise_scale(),
        kernel.temperature()
    );
    println!("accepted");
}
