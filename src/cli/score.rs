//! `ebm score RUN IMAGES...`: the energy and other scores of each image, on stdout.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::judging::{Options, score};
use super::model::Choice;
use super::progress::say;
use super::status::Status;
use super::stdout;
use super::terminal::Terminal;
use crate::error::{Error, Result};
use crate::eval::{Judge, Score};
use crate::files::ensure_writable;
use crate::judging::{self, Columns, Counts, Format, Loaded, ScoredFiles, Threshold};
use crate::run::RunDir;

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
    let loaded = args.choice.loaded(&run)?;
    let threshold = match args.threshold {
        true => Some(Threshold::of(&loaded)?),
        false => None,
    };
    let mut columns = Columns::new(&args.scores, &args.options.scoring(), threshold);
    if loaded.has_classes() {
        columns.add_classes(loaded.class_names(), args.probabilities);
    } else if args.probabilities {
        return Err(no_classes().into());
    }
    let judge = judging::judge_of_columns(&loaded, &columns, &Terminal::default())?;
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

fn no_classes() -> Error {
    Error::input(
        "--probabilities",
        "this network gives an energy and no logits",
        "leave it out, or use a run whose model has `output: logits`",
    )
}

/// Scores the images, a row on stdout each.
fn score_all(args: &Args, loaded: &Loaded, judge: &Judge, columns: &Columns) -> Result<Counts> {
    let (rule, whose) = judging::rule_of_columns(loaded, columns);
    say(&format!("images of another size: fitted by the rule `{rule}`, {whose}"));
    let mut out = BufWriter::new(stdout::file()?);
    columns.write_header(&mut out, args.format).map_err(stdout::error)?;
    let files = ScoredFiles {
        paths: &args.images,
        top: args.top.map(|n| n as usize),
        sheet: args.sheet.as_deref(),
    };
    let counts = files.score(loaded, judge, columns, &Terminal::default(), &mut |place, found| {
        columns
            .write_row(&mut out, args.format, place, found)
            .map_err(stdout::error)
    })?;
    out.flush().map_err(stdout::error)?;
    Ok(counts)
}

/// Refuses a sheet that would not be a PNG.
fn ensure_png(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Ok(());
    }
    Err(Error::input(
        format!("--sheet {}", path.display()),
        "the sheet is a PNG",
        "give a path that ends in .png",
    ))
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Csv, Self::Jsonl]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Csv => ("csv", "path,index,energy, then what else was asked for, with a header"),
            Self::Jsonl => ("jsonl", "One JSON object a line"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
