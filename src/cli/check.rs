//! `ebm check FILE`: accepts or refuses a file, and prints what it describes and what its run takes
//! on this machine.

use std::path::{Path, PathBuf};

use tch::Device;

use super::prepare::{root_key, say_notices};
use super::progress::duration;
use super::status::Status;
use super::stdout::{self, outln};
use super::terminal::Terminal;
use crate::config::yaml;
use crate::data;
use crate::error::{Error, Result, shown};
use crate::experiment::{Experiment, legacy};
use crate::models::ModelConfig;
use crate::nn::{self, thousands};
use crate::train::budget::{self, Forecast};
use crate::train::{consistent, resolve};
use crate::{ffi, process};

#[derive(clap::Args)]
pub struct Args {
    /// An experiment file or an architecture file
    file: PathBuf,
    /// Change a key of an experiment, as path.to.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The folder of the named data sets: data.root
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Look at the file alone: open no data, run no step
    #[arg(long)]
    file_only: bool,
    /// Print an experiment file of an earlier version in today's keys, and do nothing else
    #[arg(long, conflicts_with_all = ["sets", "root", "file_only"])]
    upgrade: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let text = yaml::read(&args.file)?;
    if args.upgrade {
        return upgrade(&text, args);
    }
    let tree = yaml::parse(&text, &args.file)?;
    let mut sets = args.sets.clone();
    sets.extend(args.root.as_deref().map(root_key));
    if ModelConfig::is_in(&tree) {
        refuse_sets(args, &sets)?;
        let model: ModelConfig = yaml::typed(tree, &args.file)?;
        print_model(&model, &model.describe(&args.file)?)?;
    } else {
        let experiment = Experiment::load(&args.file, &sets)?;
        say_notices(&experiment);
        let summary = consistent(&experiment, &args.file)?;
        print_model(&experiment.model, &summary)?;
        print_experiment(&experiment)?;
        if !args.file_only {
            data::look_through(&experiment.data.dataset)?;
            print_run(experiment, &args.file)?;
        }
        outln!("accepted")?;
    }
    Ok(Status::Done)
}

/// Prints the file in today's keys: the comments at its head, then every key.
fn upgrade(text: &str, args: &Args) -> anyhow::Result<Status> {
    // What is refused in one form is refused in the other.
    say_notices(&Experiment::load(&args.file, &[])?);
    let mut tree = yaml::parse(text, &args.file)?;
    legacy::upgrade(&mut tree);
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let head: String = head.map(|line| format!("{line}\n")).collect();
    stdout::text(&format!("{head}{}", yaml::tree_to_text(&tree)))?;
    Ok(Status::Done)
}

/// An architecture file has no keys that an option could change.
fn refuse_sets(args: &Args, sets: &[String]) -> Result<()> {
    match sets.first() {
        None => Ok(()),
        Some(set) => Err(Error::input(
            format!("--set {set}"),
            format!("{} is an architecture file", args.file.display()),
            "give --set with an experiment file, or edit the file",
        )),
    }
}

fn print_model(model: &ModelConfig, summary: &nn::Summary) -> Result<()> {
    let shape = model.input().iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    outln!("{}: {shape}{}\n", shown(model.name()), model.words())?;
    stdout::text(&summary.to_string())
}

fn print_experiment(e: &Experiment) -> Result<()> {
    let length = match e.train.minutes {
        Some(minutes) => format!(
            "as many steps as {minutes} minutes hold, of batch {}",
            e.train.batch_size
        ),
        None => format!(
            "{} steps of batch {} ({} {})",
            thousands(e.train.steps),
            e.train.batch_size,
            thousands(e.train.steps.saturating_mul(e.train.batch_size as u64)),
            e.space().plural()
        ),
    };
    outln!("\n{}: {length}", shown(&e.name))?;
    match &e.sampler {
        Some(sampler) => outln!("{}", sampler.words()),
        None => outln!("chain: none; the objective runs no chains"),
    }
}

/// Opens the data and the sets of the tables, times steps, and says what the run takes.
fn print_run(mut e: Experiment, file: &Path) -> Result<()> {
    let device = resolve(&mut e, file)?;
    let data = data::open(&e.data, e.model.input(), device)?;
    outln!(
        "data: {} training, {} validation, {} test {}",
        data.train.len(),
        data.validation.len(),
        data.test.len(),
        e.space().plural()
    )?;
    let Forecast { steps, pace, cost } = budget::forecast(&mut e, data, device, file, &Terminal::default())?;
    let early = match e.objective.chains_from() {
        0 => String::new(),
        from => format!(" ({:.4} s before step {from})", pace.before),
    };
    outln!("on {}: a step takes {:.4} s{early}", e.device, pace.step)?;
    outln!(
        "the run: {} steps take {}, its pictures and looks about {}",
        thousands(steps),
        duration(cost.steps),
        duration(cost.pictures)
    )?;
    outln!("memory: {}", memory_in_use(device))
}

/// The most memory that was in use until now: by steps, the data and the buffer among it.
fn memory_in_use(device: Device) -> String {
    let gib = |bytes: u64| format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30));
    let host = process::peak_memory().map_or_else(|| "unknown".into(), gib);
    match device {
        Device::Cuda(index) => match ffi::cuda::memory(index) {
            Ok([_, peak]) => format!("{} on the device, {host} beside it", gib(peak)),
            Err(_) => format!("{host} beside the device"),
        },
        _ => host,
    }
}
