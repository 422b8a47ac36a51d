//! `ebm score RUN IMAGES...`: the energy and other scores of each image, on stdout.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use tch::Device;

use super::judging::{BATCH, Loaded, Options, score};
use super::model::Choice;
use super::progress::say;
use super::score_rows::{Columns, Format, Found};
use super::status::Status;
use super::stdout;
use super::strangest::{Strangest, ensure_png};
use super::threshold::Threshold;
use crate::data::{ScoreBatch, ScoreInput};
use crate::error::{Error, Result};
use crate::eval::{Judge, Score};
use crate::files::ensure_writable;
use crate::rng::Stream;
use crate::train::RunDir;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// Pictures, folders of pictures, and idx or .npy stacks
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Further scores, separated by commas, a column each; higher = more out of distribution.
    /// log_px is the column energy
    #[arg(long, value_delimiter = ',', value_parser = score())]
    scores: Vec<Score>,
    /// A column for the probability of each class
    #[arg(long)]
    probabilities: bool,
    /// Judge each image by the threshold that `ebm threshold` fitted, with its noise; exit code 4 where one is out
    #[arg(long, conflicts_with_all = ["noise", "temperature", "seed"])]
    threshold: bool,
    /// Only so many images, those with the highest of the first of --scores (else of the
    /// threshold's score, else of the energy), the highest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    top: Option<u64>,
    /// Draw these images in their order as a PNG, each with its rank and score beneath
    #[arg(long, value_name = "FILE", requires = "top")]
    sheet: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    if let Some(sheet) = &args.sheet {
        ensure_png(sheet)?;
        ensure_writable(sheet)?;
    }
    let loaded = Loaded::new(&run, &args.choice)?;
    let threshold = match args.threshold {
        true => Some(Threshold::of(&run, &loaded, &args.choice)?),
        false => None,
    };
    let mut columns = Columns::new(&args.scores, &args.options, threshold);
    if loaded.has_classes() {
        columns.add_classes(loaded.class_names(), args.probabilities);
    } else if args.probabilities {
        return Err(no_classes().into());
    }
    let judge = judge(&loaded, &columns)?;
    let counts = score_all(args, &loaded, &judge, &columns)?;
    say(&format!(
        "{} images scored, {} could not be",
        counts.scored, counts.failed
    ));
    if args.threshold {
        say(&format!("{} of them out of distribution", counts.out));
    }
    Ok(match counts {
        Counts { failed: 1.., .. } => Status::Failed,
        Counts { out: 1.., .. } => Status::OutOfDistribution,
        _ => Status::Done,
    })
}

/// A judge of all columns; only a mean that no threshold remembers needs the run's data.
fn judge<'a>(loaded: &'a Loaded, columns: &Columns) -> Result<Judge<'a>> {
    let (scores, options) = (&columns.scores, &columns.options);
    loaded.ensure(scores, options)?;
    if let Some(mean) = columns.threshold.as_ref().and_then(|t| t.typical) {
        return Ok(loaded.judge(options).with_typical(mean));
    }
    let data = match scores.contains(&Score::Typicality) && loaded.has_data() {
        true => Some(loaded.data(true)?),
        false => None,
    };
    loaded.judge_by(scores, options, data.as_ref().map(|d| &d.train))
}

fn no_classes() -> Error {
    Error::input(
        "--probabilities",
        "this network gives an energy and no logits",
        "leave it out, or use a run whose model has `output: logits`",
    )
}

/// How many images were scored, could not be read or have no finite score, and are out of
/// distribution.
#[derive(Default)]
struct Counts {
    scored: u64,
    failed: u64,
    out: u64,
}

fn score_all(args: &Args, loaded: &Loaded, judge: &Judge, columns: &Columns) -> anyhow::Result<Counts> {
    let experiment = &loaded.trained.experiment;
    // A verdict is of images that are fitted as those that the threshold was fitted on.
    let own = experiment.data.dataset.rule();
    let rule = columns.threshold.as_ref().and_then(|t| t.fit).unwrap_or(own);
    let whose = if rule == own {
        "the run's own"
    } else {
        "the threshold's"
    };
    say(&format!("images of another size: fitted by the rule `{rule}`, {whose}"));
    let mut input = ScoreInput::new(&args.images, experiment.model.input, rule);
    let mut rng = Stream::new(columns.options.seed, "score");
    let mut out = BufWriter::new(stdout::file()?);
    columns.write_header(&mut out, args.format).map_err(stdout::error)?;
    let mut strangest = args.top.map(|n| Strangest::new(n as usize, columns.first));
    let mut counts = Counts::default();
    while let Some(batch) = input.next_batch(BATCH) {
        let found = found(judge, columns, &batch, loaded.device, &mut rng)?;
        let mut next = found.into_iter().zip(0..);
        for (path, index, outcome) in batch.items {
            match outcome {
                Ok(()) => {
                    let (found, at) = next.next().expect("scores for every image");
                    if let Err(error) = columns.ensure_finite(&path, index, &found) {
                        say(&format!("error: {error}"));
                        counts.failed += 1;
                        continue;
                    }
                    counts.scored += 1;
                    counts.out += u64::from(columns.accepts(&found) == Some(false));
                    match &mut strangest {
                        Some(strangest) => strangest.offer((path, index), found, &batch.images.get(at)),
                        None => {
                            let written = columns.write_row(&mut out, args.format, (&path, index), &found);
                            written.map_err(stdout::error)?;
                        }
                    }
                }
                Err(error) => {
                    say(&format!("error: {error}"));
                    counts.failed += 1;
                }
            }
        }
    }
    if let Some(strangest) = &strangest {
        // The picture first: what stdout cannot take does not lose it.
        args.sheet.iter().try_for_each(|path| strangest.draw(path))?;
        for kept in strangest.kept() {
            let written = columns.write_row(&mut out, args.format, (&kept.path, kept.index), &kept.found);
            written.map_err(stdout::error)?;
        }
    }
    out.flush().map_err(stdout::error)?;
    Ok(counts)
}

/// What is found of each image of a batch.
fn found(
    judge: &Judge,
    columns: &Columns,
    batch: &ScoreBatch,
    device: Device,
    rng: &mut Stream,
) -> anyhow::Result<Vec<Found>> {
    let judged = judge.judge(&columns.scores, &batch.images.to_device(device), BATCH, rng)?;
    let mut found: Vec<Found> = (0..batch.images.size()[0]).map(|_| Found::default()).collect();
    for column in &judged.scores {
        let values = Vec::<f64>::try_from(column.to_device(Device::Cpu))?;
        found.iter_mut().zip(values).for_each(|(f, value)| f.scores.push(value));
    }
    if let Some(probabilities) = &judged.probabilities {
        let rows = Vec::<Vec<f64>>::try_from(probabilities.to_device(Device::Cpu))?;
        found.iter_mut().zip(rows).for_each(|(f, row)| f.probabilities = row);
    }
    Ok(found)
}
