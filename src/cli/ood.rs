//! `ebm ood RUN`: how well each score tells the run's images from others.

use std::path::{Path, PathBuf};

use super::judging::{Options, score};
use super::model::Choice;
use super::status::Status;
use super::stdout::{self, outln};
use super::terminal::Terminal;
use crate::error::{Result, shown, shown_path};
use crate::eval::Score;
use crate::files::{self, ensure_writable};
use crate::judging::{self, Compared, Comparison, Inside, sets};
use crate::run::RunDir;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// Sets that are out of distribution: mnist, fashion-mnist, cifar10, cifar100, svhn, a folder of
    /// pictures, a .npy or idx stack, or uniform, gaussian, constant, textures, interpolated, rotated, flipped, inverted,
    /// blurred, or what evaluate.ood takes. Unless given: the run's evaluate.ood, else all that are made without files
    #[arg(long, value_name = "SET", num_args = 1..)]
    against: Vec<String>,
    /// The images that are in distribution: test or validation, of the run's own data, or a data set; test unless given.
    /// Choose a score on validation images and sets made by code, judge it on test images
    #[arg(long = "in", value_name = "SET")]
    inside: Option<String>,
    /// Scores, separated by commas; all that the network has unless given
    #[arg(long, value_delimiter = ',', value_parser = score())]
    scores: Vec<Score>,
    /// At most so many images of each set, drawn by --seed, each class by its share
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Resamples for the intervals; 0 for no intervals
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    bootstrap: u32,
    /// Write all figures as JSON, a list of objects
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write all figures as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The folder of the histograms; RUN/ood unless given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let named = args
        .against
        .iter()
        .map(|s| sets::outliers(s))
        .collect::<Result<Vec<_>>>()?;
    let inside = Inside::of(args.inside.as_deref().unwrap_or("test"))?;
    let folder = args.out.clone().unwrap_or_else(|| run.path().join("ood"));
    let outputs = [args.json.as_deref(), args.csv.as_deref()];
    outputs.into_iter().flatten().try_for_each(ensure_writable)?;
    ensure_writable(&folder.join("log_px.png"))?;
    let loaded = args.choice.loaded(&run)?;
    let scoring = args.options.scoring();
    let scores = judging::comparable_scores(&args.scores, scoring.temperature, &loaded);
    let comparison = Comparison {
        scores: &scores,
        sets: &judging::outlier_sets(named, &loaded)?,
        limit: args.limit.map(|n| n as usize),
        bootstrap: args.bootstrap as usize,
        scoring,
    };
    let compared = comparison.run(&loaded, inside, &Terminal::default())?;
    let written = write(args, &folder, &scores, &compared)?;
    print(&comparison, &compared)?;
    written.iter().try_for_each(|path| outln!("{}", shown_path(path)))?;
    Ok(Status::Done)
}

/// The table, and what it says, on stdout.
fn print(comparison: &Comparison, compared: &Compared) -> Result<()> {
    let (inside, scoring) = (&compared.inside, &comparison.scoring);
    let name = shown(&inside.name);
    outln!("in distribution: {name}, {} images", inside.images.len())?;
    outln!("{name}: {}", inside.fit)?;
    compared.fits.iter().try_for_each(|line| outln!("{line}"))?;
    match scoring.noise {
        0.0 => outln!("noise added to the images: none"),
        std => outln!("noise added to every image of both sides: N(0, {std}^2)"),
    }?;
    outln!("scores, each higher for what is further out:")?;
    for score in comparison.scores {
        match score {
            Score::Energy => outln!("  {score:<15} {} (T = {})", score.meaning(), scoring.temperature),
            _ => outln!("  {score:<15} {}", score.meaning()),
        }?;
    }
    outln!("\n{}", judging::table(&compared.rows))?;
    if compared.scored.len() > 2 {
        outln!(
            "over all of these sets\n\n{}",
            judging::summary(&compared.rows, comparison.scores)
        )?;
    }
    stdout::text(&judging::legend(comparison.bootstrap))
}

/// Writes the files; returns their paths.
fn write(args: &Args, folder: &Path, scores: &[Score], compared: &Compared) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&compared.rows).expect("records always serialise");
        files::write_atomic(path, text.as_bytes())?;
        paths.push(path.clone());
    }
    if let Some(path) = &args.csv {
        files::write_atomic(path, judging::csv(&compared.rows).as_bytes())?;
        paths.push(path.clone());
    }
    paths.extend(compared.histograms(scores, folder)?);
    Ok(paths)
}
