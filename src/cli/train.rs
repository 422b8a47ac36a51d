//! `ebm train EXPERIMENT`: trains, or goes on with a run.

use std::path::{Path, PathBuf};

use tch::Device;

use super::budget;
use super::console::Console;
use super::interrupts::interrupts;
use super::prepare::{resolve, root_key, say_notices};
use super::progress::say;
use super::results;
use super::status::Status;
use super::stdout::outln;
use super::{environment, form};
use crate::config::yaml;
use crate::data::{self, ClassShares, DataSet};
use crate::error::{Error, Result, shown_path};
use crate::experiment::Experiment;
use crate::sampling::Starter;
use crate::train::own_data::{self, DATA};
use crate::train::{self, Outcome, Results, RunDir, State, Trainer, Weights, Which, checkpoint};

/// What the guard saw, in the folder of a run that gave up.
const DIVERGENCE: &str = "divergence.json";

#[derive(clap::Args)]
pub struct Args {
    /// An experiment file
    experiment: PathBuf,
    /// Go on with the run that is there, bit for bit as if it had not stopped
    #[arg(long)]
    resume: bool,
    /// Change a key of the experiment, as path.to.key=value (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long)]
    device: Option<String>,
    /// Decides every random number of the run
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of the named data sets: data.root
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The run's folder; runs/NAME unless given
    #[arg(long)]
    out: Option<PathBuf>,
    /// Start from the weights of another run
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    init_from: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let mut experiment = Experiment::load(&args.experiment, &sets(args))?;
    say_notices(&experiment);
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    let existing = if args.resume { Some(RunDir::open(&out)?) } else { None };
    if let Some(run) = &existing {
        let stored = run.experiment()?;
        experiment.adopt(&stored);
        budget::adopt(&mut experiment, &stored, run, &args.experiment)?;
        experiment.check_resume(&stored, &args.experiment)?;
        ensure_not_given_up(run)?;
    }
    let device = resolve(&mut experiment, &args.experiment)?;
    if existing.is_none() {
        RunDir::ensure_absent(&out)?;
    }
    if let Some(done) = existing
        .as_ref()
        .map(|run| finished(run, &experiment))
        .transpose()?
        .flatten()
    {
        show_finished(&done, existing.as_ref().expect("finished runs exist"))?;
        return Ok(Status::Done);
    }
    let mut trainer = prepare(args, experiment, existing, &out, device)?;
    train(&mut trainer)
}

/// The changes that the options stand for.
fn sets(args: &Args) -> Vec<String> {
    let mut sets = args.sets.clone();
    sets.extend(args.device.iter().map(|d| format!("device={d}")));
    sets.extend(args.seed.iter().map(|s| format!("seed={s}")));
    sets.extend(args.root.iter().map(|root| root_key(root)));
    sets
}

/// Refuses to go on with a run that gave up: the same steps would end in the same divergence.
fn ensure_not_given_up(run: &RunDir) -> Result<()> {
    if !run.path().join(DIVERGENCE).exists() {
        return Ok(());
    }
    Err(Error::file(
        run.path(),
        "the run diverged too often and gave up; divergence.json has what was seen",
        "start another run with --out, --init-from this one, and a lower optimizer.lr or a larger objective.energy_reg; or train anew after removing the folder",
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

fn show_finished(results: &Results, run: &RunDir) -> Result<()> {
    results::print(results, run)?;
    let (resolved, folder) = (shown_path(&run.resolved()), shown_path(run.path()));
    outln!(
        "This run is finished. To train it further: ebm train {resolved} --out {folder} --resume --set train.steps={}",
        results.step * 2
    )?;
    outln!("To train anew: remove {folder}, or give another folder by --out.")
}

/// Opens the data and builds the network; only then is the run's folder made, or gone on with.
fn prepare(
    args: &Args,
    mut experiment: Experiment,
    existing: Option<RunDir>,
    out: &Path,
    device: Device,
) -> Result<Trainer> {
    let source = args.init_from.as_deref().map(RunDir::open).transpose()?;
    let data = match &existing {
        Some(run) => own_data::open(run, &experiment, device)?,
        None => data::open(&experiment.data, experiment.model.input, device)?,
    };
    say(&format!(
        "data: {} training, {} validation, {} test images on {}",
        data.train.len(),
        data.validation.len(),
        data.test.len(),
        experiment.device,
    ));
    train::ensure_outside(&experiment, device)?;
    if let Some(run) = &existing {
        own_data::ensure_same_limit(run, &data.record)?;
    }
    let starter = Starter::new(
        &experiment.sampler.init,
        experiment.model.input,
        Some(&data.train),
        device,
    )?;
    let (budget, data, starter) = budget::settle(&mut experiment, data, starter, device, &args.experiment)?;
    let mut state = State::new(&experiment, &data, &starter, device)?;
    say_absent_classes(&state, &data);
    if let Some(source) = &source {
        let other = train::load(source, Which::Last, Weights::Ema, device)?;
        say_passed_over(&other.passed_over);
        state.start_from(&other.network, &experiment, &source.path().display().to_string())?;
    }
    form::choose(&mut experiment, &state.network);
    let run = match existing {
        Some(run) => run,
        None => RunDir::create(out, &yaml::read(&args.experiment)?, &experiment, |staged| {
            staged.write_json(DATA, &data.record)?;
            budget.iter().try_for_each(|b| staged.write_json(budget::FILE, b))?;
            // A run that stops, or diverges, before its first checkpoint must find the weights that it was given.
            match &source {
                Some(_) => checkpoint::write(staged, &yaml::to_text(&experiment), &state.contents(), 1).map(drop),
                None => Ok(()),
            }
        })?,
    };
    let mut trainer = Trainer::new(experiment, data, starter, run, device, state)?;
    if args.resume {
        go_on(&mut trainer)?;
    }
    environment::note(&trainer, args.init_from.as_deref())?;
    Ok(trainer)
}

/// Says for which classes p(x|y) learns nothing.
fn say_absent_classes(state: &State, data: &DataSet) {
    let absent = state.shares.iter().flat_map(ClassShares::absent);
    let names: Vec<String> = absent.map(|class| format!("`{}`", data.train.classes[class])).collect();
    if !names.is_empty() {
        say(&format!(
            "warning: no labelled image is of class {}, so no chain is, and p(x|y) learns nothing of it",
            names.join(", ")
        ));
    }
}

/// Goes to the last checkpoint; what may change on resume is written down once the run is found to be usable.
fn go_on(trainer: &mut Trainer) -> Result<()> {
    let (found, passed_over) = trainer.restore()?;
    say_passed_over(&passed_over);
    match found {
        true => say(&format!("going on from step {}", trainer.state().step)),
        false => say("the run has no checkpoint yet: starting again from step 0"),
    }
    trainer.run_dir().set_experiment(trainer.experiment())
}

fn say_passed_over(errors: &[Error]) {
    errors.iter().for_each(|e| say(&format!("warning: passed over: {e}")));
}

fn train(trainer: &mut Trainer) -> anyhow::Result<Status> {
    let mut console = Console::new(trainer);
    let stop = interrupts()?;
    let outcome = trainer.run(&mut console, &stop.after_step);
    console.finish();
    let run = trainer.run_dir().clone();
    // The resolved file holds what --set, --seed and --device gave.
    let again = format!(
        "ebm train {} --out {} --resume",
        shown_path(&run.resolved()),
        shown_path(run.path())
    );
    if outcome.is_err() && run.ensure_own().is_ok() {
        say(&format!(
            "stopped at step {}; once that is mended, go on with:\n  {again}",
            trainer.state().step
        ));
    }
    match outcome? {
        Outcome::Finished => {
            // All is saved: from here on Ctrl-C ends at once, and --resume makes the results again.
            stop.end_at_once();
            results::print(&trainer.results(&mut console)?, &run)?;
            Ok(Status::Done)
        }
        Outcome::Interrupted { saved } => {
            if !saved {
                say(
                    "this step is not saved, since the divergence guard finds fault with it: the run goes on from its last checkpoint",
                );
            }
            say(&format!(
                "interrupted at step {}; go on with:\n  {again}",
                trainer.state().step
            ));
            Ok(Status::Interrupted)
        }
        Outcome::Diverged => {
            run.write_json(DIVERGENCE, &trainer.state().divergences)?;
            report_divergence(trainer);
            Ok(Status::Diverged)
        }
    }
}

fn report_divergence(trainer: &Trainer) {
    let (state, guard) = (trainer.state(), &trainer.experiment().guard);
    say(&format!(
        "error: training diverged {} times, guard.max_rollbacks allows {}",
        state.divergences.len(),
        guard.max_rollbacks,
    ));
    for divergence in &state.divergences {
        say(&format!("  {divergence}"));
    }
    say(
        "  remedy: a lower optimizer.lr, a larger objective.energy_reg, more objective.data_noise, or more sampler.n_steps",
    );
    say(&format!(
        "  divergence.json, and the last good checkpoint where one was written, are in {}",
        shown_path(trainer.run_dir().path())
    ));
}
