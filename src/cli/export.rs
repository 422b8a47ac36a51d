//! `ebm export RUN FILE`: a run's weights with PyTorch's names, for use elsewhere.

use std::path::PathBuf;

use super::model::Choice;
use super::progress::say;
use super::status::Status;
use crate::error::shown_path;
use crate::files;
use crate::files::ensure_writable;
use crate::run::RunDir;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// The safetensors file to write
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    ensure_writable(&args.file)?;
    let (trained, _) = args.choice.load(&RunDir::open(&args.run)?)?;
    let tensors = trained.model.state().into_iter().collect();
    files::write_atomic(&args.file, &files::encode(&tensors)?)?;
    say(&format!(
        "{}: {} tensors of step {}",
        shown_path(&args.file),
        tensors.len(),
        trained.step
    ));
    Ok(Status::Done)
}
