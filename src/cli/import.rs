//! `ebm import FILE --model M --out RUN`: weights that were trained elsewhere become a run.

use std::path::PathBuf;

use super::progress::say;
use super::status::Status;
use super::terminal::Terminal;
use crate::error::shown_path;
use crate::run::Import;

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

pub fn run(args: Args) -> anyhow::Result<Status> {
    let Args {
        file,
        model,
        out,
        prefix,
        map,
        negate,
        sampler,
    } = args;
    let import = Import {
        file,
        model,
        out,
        prefix,
        map,
        negate,
        sampler,
    };
    let (run, tensors) = import.run(&Terminal::default())?;
    say(&format!(
        "{}: {} tensors; try `ebm sample {0}` and `ebm score {0} IMAGES`",
        shown_path(run.path()),
        tensors
    ));
    Ok(Status::Done)
}
