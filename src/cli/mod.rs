//! The commands of `ebm`: one file each, and the only place that prints.
#![deny(clippy::print_stdout, clippy::print_stderr)] // both panic where the reader is gone; `outln!` and `say` do not

mod chains;
mod check;
mod conditional;
mod console;
mod evaluate;
mod export;
mod import;
mod interrupts;
mod judging;
mod model;
mod ood;
mod prepare;
mod progress;
mod reference;
mod results;
mod sample;
mod score;
mod starts;
mod status;
mod stdout;
mod terminal;
mod threshold;
mod train;
mod warnings;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand};

use self::progress::say;
use self::status::Status;
use crate::error::{Error, shown, shown_lines};

#[derive(Parser)]
#[command(
    name = "ebm",
    version,
    about = "Deep energy-based models of images: train, sample, score, evaluate",
    after_help = "Exit codes: 0 done, 1 failure, 2 usage or input, 3 training diverged, 4 out of distribution (score --threshold), 130 interrupted"
)]
struct Cli {
    /// How many MiB of memory one picture may take while it is read; larger ones are refused
    #[arg(long, global = true, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..))]
    max_picture_mib: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model as an experiment file says, or go on with a run
    Train(train::Args),
    /// Synthesise images from a trained run
    Sample(sample::Args),
    /// Print the energy and other scores of images under a trained run
    Score(score::Args),
    /// Measure a trained run: classification, quality of samples, robustness
    Evaluate(Box<evaluate::Args>),
    /// Tell how well scores of a trained run tell its images from others
    Ood(ood::Args),
    /// Fit the score from which on an image is out of distribution
    Threshold(threshold::Args),
    /// Check an experiment or architecture file and print what it describes
    Check(check::Args),
    /// Write a run's weights with PyTorch's names as safetensors
    Export(export::Args),
    /// Make a run from weights that were trained elsewhere
    Import(import::Args),
    /// Write the generated part of the documentation into a folder: pages and JSON Schemas
    #[command(hide = true)]
    Reference(reference::Args),
}

/// Parses the command line, runs the command, and words what went wrong.
pub fn main() -> ExitCode {
    word_panics();
    let Cli {
        command,
        max_picture_mib,
    } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return not_a_command(&answer),
    };
    warnings::listen();
    crate::data::bound_pictures(max_picture_mib.saturating_mul(1 << 20));
    if !matches!(command, Command::Export(_) | Command::Import(_)) {
        crate::process::tune();
    }
    set_signals(&command);
    let run = || match command {
        Command::Train(args) => train::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Ood(args) => ood::run(&args),
        Command::Threshold(args) => threshold::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(args),
        Command::Reference(args) => reference::run(&args, Cli::command()),
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(status)) => code(status),
        Ok(Err(error)) => failed(&error),
        // The panic's own message is already on stderr.
        Err(_) => ExitCode::from(1),
    }
}

/// Help and versions go to stdout, faults of usage to stderr.
fn not_a_command(answer: &clap::Error) -> ExitCode {
    if answer.use_stderr() {
        return refused(answer);
    }
    let words = answer.render();
    let written = match std::io::stdout().is_terminal() {
        true => stdout::text(&words.ansi().to_string()),
        false => stdout::text(&words.to_string()),
    };
    written.map_or_else(|error| failed(&error.into()), |()| ExitCode::SUCCESS)
}

/// What is wrong with a command line, with its own words made safe to show.
fn refused(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(error.exit_code() as u8);
    let odd = |word: &String| shown(word) != word.as_str();
    let words: Vec<String> = std::env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    if !words.iter().any(odd) {
        let _ = error.print();
        return code;
    }
    let values = words
        .iter()
        .flat_map(|w| [w.as_str(), w.split_once('=').map_or("", |(_, value)| value)]);
    let text = values
        .filter(|v| !v.is_empty())
        .fold(error.to_string(), |text, v| text.replace(v, &shown(v)));
    say(text.trim_end());
    code
}

/// Words an error; the user's fault is told from the machine's by the code.
fn failed(error: &anyhow::Error) -> ExitCode {
    say(&format!("error: {error}"));
    let input = error.downcast_ref::<Error>().is_some_and(Error::is_input);
    ExitCode::from(if input { 2 } else { 1 })
}

fn code(status: Status) -> ExitCode {
    ExitCode::from(match status {
        Status::Done => 0,
        Status::Failed => 1,
        Status::Diverged => 3,
        Status::OutOfDistribution => 4,
        Status::Interrupted => 130,
    })
}

/// What the system's defaults get wrong for a program of this kind.
fn set_signals(command: &Command) {
    use signal_hook::consts::{SIGPIPE, SIGXFSZ};
    // A write beyond the file-size limit then fails like one on a full disk, instead of ending the process.
    let unread = Arc::new(AtomicBool::new(false));
    let _ = signal_hook::flag::register(SIGXFSZ, unread);
    // A reader that has seen enough (`| head`) ends the program quietly, as it does any other; training goes on
    // without its reader.
    if matches!(command, Command::Train(_)) {
        return;
    }
    let _ = signal_hook::flag::register_conditional_default(SIGPIPE, Arc::new(AtomicBool::new(true)));
}

/// A panic in a line or two; RUST_BACKTRACE=1 shows the place and the way to it.
fn word_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let plain = payload.downcast_ref::<&str>().copied();
        let message = plain
            .or(payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        // LibTorch's own account goes on with its stack.
        let message = message.split("\\nframe #").next().unwrap_or(message);
        say(&format!("error: {}", shown_lines(message)));
        say(
            "  remedy: too large a network, batch or buffer for the memory is mended by smaller numbers; anything else is a fault of this program, and RUST_BACKTRACE=1 shows where",
        );
    }));
}
