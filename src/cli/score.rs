//! `ebm score RUN IMAGES...`: the energy of each image, on stdout.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use tch::{Device, Kind};

use super::Status;
use super::model::Choice;
use crate::config::{Dataset, FitRule};
use crate::data::{self, ScoreBatch, ScoreInput};
use crate::energy::{Energy, FrozenEnergy};
use crate::sampling::Langevin;
use crate::train::{RunDir, Trained};

/// Images whose energies are computed together.
const BATCH: usize = 256;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// Pictures, folders of pictures, and idx or .npy stacks
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// path,index,energy with a header
    Csv,
    /// One JSON object a line
    Jsonl,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let (trained, device) = args.choice.load(&run)?;
    let energy = energy(&trained);
    let mut input = ScoreInput::new(&args.images, trained.experiment.model.input, fit_rule(&trained));
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Format::Csv = args.format {
        writeln!(out, "path,index,energy")?;
    }
    let (mut scored, mut failed) = (0u64, 0u64);
    while let Some(batch) = input.next_batch(BATCH) {
        let energies = energies(&energy, &batch, device)?;
        let mut next = energies.into_iter();
        for (path, index, outcome) in batch.items {
            match outcome {
                Ok(()) => {
                    let value = next.next().expect("an energy for every image");
                    write_row(&mut out, args.format, &path, index, value)?;
                    scored += 1;
                }
                Err(error) => {
                    eprintln!("error: {error}");
                    failed += 1;
                }
            }
        }
    }
    out.flush()?;
    eprintln!("{scored} images scored, {failed} could not be");
    Ok(if failed == 0 { Status::Done } else { Status::Failed })
}

fn energy(trained: &Trained) -> FrozenEnergy {
    let sampler = &trained.experiment.sampler;
    FrozenEnergy::new(
        &trained.network,
        Kind::Float,
        Langevin::new(sampler, sampler.n_steps).temperature(),
    )
}

/// A run on a folder fits pictures as it did in training; any other run by the default rule.
fn fit_rule(trained: &Trained) -> FitRule {
    match &trained.experiment.data.dataset {
        Dataset::Folder(folder) => folder.fit,
        _ => FitRule::default(),
    }
}

fn energies(energy: &FrozenEnergy, batch: &ScoreBatch, device: Device) -> anyhow::Result<Vec<f32>> {
    let _guard = tch::no_grad_guard();
    if batch.images.size()[0] == 0 {
        return Ok(Vec::new());
    }
    let x = data::to_unit(&batch.images.to_device(device));
    Ok(Vec::<f32>::try_from(energy.energy(&x).to_device(Device::Cpu))?)
}

fn write_row(out: &mut impl Write, format: Format, path: &Path, index: usize, energy: f32) -> std::io::Result<()> {
    let path = path.display().to_string();
    match format {
        Format::Csv => writeln!(out, "{},{index},{energy}", quoted(&path)),
        Format::Jsonl => writeln!(out, "{}", json!({ "path": path, "index": index, "energy": energy })),
    }
}

/// A field of a CSV file, quoted where RFC 4180 asks for it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
