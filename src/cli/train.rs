//! `ebm train EXPERIMENT`: trains, or goes on with a run.

use std::path::{Path, PathBuf};

use super::console::Console;
use super::interrupts::interrupts;
use super::prepare::{root_key, say_notices};
use super::progress::say;
use super::results;
use super::status::Status;
use super::stdout::outln;
use super::terminal::Terminal;
use crate::error::{Result, shown_path};
use crate::experiment::Experiment;
use crate::run::RunDir;
use crate::train::{Begun, Outcome, Results, Start, Trainer, give_up};

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
    let experiment = Experiment::load(&args.experiment, &sets(args))?;
    say_notices(&experiment);
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    let start = Start {
        file: &args.experiment,
        out: &out,
        resume: args.resume,
        init_from: args.init_from.as_deref(),
    };
    match start.begin(experiment, &Terminal::default())? {
        Begun::Finished(results, run) => {
            show_finished(&results, &run)?;
            Ok(Status::Done)
        }
        Begun::Ready(mut trainer) => train(&mut trainer),
    }
}

/// The changes that the options stand for.
fn sets(args: &Args) -> Vec<String> {
    let mut sets = args.sets.clone();
    sets.extend(args.device.iter().map(|d| format!("device={d}")));
    sets.extend(args.seed.iter().map(|s| format!("seed={s}")));
    sets.extend(args.root.iter().map(|root| root_key(root)));
    sets
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
            give_up(trainer)?;
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
        "  remedy: a lower optimizer.lr, a larger energy_reg of the objective, more data.noise, or more sampler.n_steps",
    );
    say(&format!(
        "  divergence.json, and the last good checkpoint where one was written, are in {}",
        shown_path(trainer.run_dir().path())
    ));
}
