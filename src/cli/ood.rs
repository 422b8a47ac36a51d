//! `ebm ood RUN`: how well each score tells the run's images from others.

use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use super::judging::{BATCH, Loaded, Options, score};
use super::model::Choice;
use super::ood_inside::{Inside, Which};
use super::ood_rows::{self, Row, csv};
use super::progress::say;
use super::sets;
use super::status::Status;
use super::stdout::{self, outln};
use crate::data::{self, DataSet};
use crate::error::{Result, shown, shown_path};
use crate::eval::OodSet;
use crate::eval::outliers::{self, OutlierSource};
use crate::eval::{self, Detection, Judge, Score};
use crate::files::ensure_writable;
use crate::rng::Stream;
use crate::train::RunDir;
use crate::{files, report};

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
    let inside = Which::of(args.inside.as_deref())?;
    let folder = args.out.clone().unwrap_or_else(|| run.path().join("ood"));
    let outputs = [args.json.as_deref(), args.csv.as_deref()];
    outputs.into_iter().flatten().try_for_each(ensure_writable)?;
    ensure_writable(&folder.join("log_px.png"))?;
    let loaded = Loaded::new(&run, &args.choice)?;
    let scores = scores(args, &loaded);
    loaded.ensure(&scores, &args.options)?;
    let data = data(&loaded, &inside, scores.contains(&Score::Typicality))?;
    let judge = loaded.judge_by(&scores, &args.options, data.as_ref().map(|d| &d.train))?;
    let limit = args.limit.map(|n| n as usize);
    let inside = Inside::new(&loaded, inside, data, limit, args.options.seed)?;
    let compared = compare(args, &loaded, &judge, &scores, &inside, &sets_of(named, &loaded))?;
    let written = write(args, &folder, &scores, &compared)?;
    print(args, &inside, &scores, &compared)?;
    written.iter().try_for_each(|path| outln!("{}", shown_path(path)))?;
    Ok(Status::Done)
}

/// The scores asked for, else all that the network and its data allow.
fn scores(args: &Args, loaded: &Loaded) -> Vec<Score> {
    if !args.scores.is_empty() {
        return once(&args.scores, args.options.temperature);
    }
    let mut scores = Score::distinct(loaded.has_classes(), args.options.temperature);
    scores.retain(|s| *s != Score::Typicality || loaded.has_data());
    scores
}

/// Each score once, though two names of one number are asked for: at temperature 1 the energy is
/// -log p(x).
fn once(asked: &[Score], temperature: f64) -> Vec<Score> {
    let same = |a: Score, b: Score| {
        let number = |s| match s {
            Score::Energy if temperature == 1.0 => Score::LogPx,
            other => other,
        };
        number(a) == number(b)
    };
    let mut scores: Vec<Score> = Vec::new();
    for score in asked {
        match scores.iter().find(|s| same(**s, *score)) {
            None => scores.push(*score),
            Some(known) if known != score => say(&format!(
                "notice: {} is left out, for it is the same number as {}",
                score.word(),
                known.word()
            )),
            Some(_) => {}
        }
    }
    scores
}

/// The sets asked for, else those of the run, else all that need no files.
fn sets_of(named: Vec<OodSet>, loaded: &Loaded) -> Vec<OodSet> {
    let e = &loaded.trained.experiment;
    match (named.is_empty(), e.evaluate.ood.is_empty()) {
        (false, _) => named,
        (true, false) => e.evaluate.ood.clone(),
        (true, true) => outliers::generated_sets(e.model.input),
    }
}

/// The run's data, where they are needed and it has any.
fn data(loaded: &Loaded, inside: &Which, typicality: bool) -> Result<Option<DataSet>> {
    let needed = typicality || !matches!(inside, Which::Other(_));
    let training = typicality || matches!(inside, Which::Validation);
    (needed && loaded.has_data()).then(|| loaded.data(training)).transpose()
}

/// All figures, and the scores that they were made of.
struct Compared {
    rows: Vec<Row>,
    /// The scores of each set, the one in distribution first, in the order of the scores asked for.
    scored: Vec<(String, Vec<Tensor>)>,
    /// How other data were fitted, a line a set.
    fits: Vec<String>,
}

fn compare(
    args: &Args,
    loaded: &Loaded,
    judge: &Judge,
    scores: &[Score],
    inside: &Inside,
    sets: &[OodSet],
) -> Result<Compared> {
    let rng = Stream::new(args.options.seed, "ood");
    // Noise on one set must not be that on another.
    let judged = |images: &Tensor, number: u64| -> Result<Vec<Tensor>> {
        let noise = &mut Stream::new(args.options.seed, "ood-noise").derive(number);
        let found = judge.judge_all(scores, images, BATCH, noise)?.scores;
        Ok(found.iter().map(|s| s.to_device(Device::Cpu)).collect())
    };
    let source = OutlierSource {
        inside: &inside.images,
        other: loaded.wanted(args.limit.map(|n| n as usize), args.options.seed),
    };
    let (mut rows, mut fits) = (Vec::new(), Vec::new());
    let mut scored = vec![(inside.name.clone(), judged(&inside.images.pixels, 0)?)];
    for (number, set) in (1..).zip(sets) {
        say(&format!("scoring {} ...", shown(&outliers::set_name(set))));
        let outside = judged(&source.images(set, &rng)?, number)?;
        fits.extend(
            set.data()
                .map(|d| format!("{}: {}", shown(&data::name(d)), loaded.fit_words(d))),
        );
        let resample = Stream::new(args.options.seed, "bootstrap").derive(number);
        for (score, (own, other)) in scores.iter().zip(scored[0].1.iter().zip(&outside)) {
            let figures = figures(own, other, args.bootstrap as usize, resample.clone())?;
            rows.push(Row {
                set: outliers::set_word(set),
                score: *score,
                figures,
                inside: inside.name.clone(),
                images_in: inside.images.len(),
                images_out: other.numel() as i64,
                noise: args.options.noise,
                temperature: args.options.temperature,
                step: loaded.trained.step,
            });
        }
        scored.push((outliers::set_name(set), outside));
    }
    Ok(Compared { rows, scored, fits })
}

/// All scores are resampled alike, so that they can be compared.
fn figures(own: &Tensor, other: &Tensor, resamples: usize, mut rng: Stream) -> Result<Detection> {
    let bootstrap = (resamples > 0).then_some((resamples, &mut rng));
    eval::detection(own, other, bootstrap)
}

/// The table, and what it says, on stdout.
fn print(args: &Args, inside: &Inside, scores: &[Score], compared: &Compared) -> Result<()> {
    let name = shown(&inside.name);
    outln!("in distribution: {name}, {} images", inside.images.len())?;
    outln!("{name}: {}", inside.fit)?;
    compared.fits.iter().try_for_each(|line| outln!("{line}"))?;
    match args.options.noise {
        0.0 => outln!("noise added to the images: none"),
        std => outln!("noise added to every image of both sides: N(0, {std}^2)"),
    }?;
    outln!("scores, each higher for what is further out:")?;
    for score in scores {
        match score {
            Score::Energy => outln!("  {score:<15} {} (T = {})", score.meaning(), args.options.temperature),
            _ => outln!("  {score:<15} {}", score.meaning()),
        }?;
    }
    outln!("\n{}", ood_rows::table(&compared.rows))?;
    if compared.scored.len() > 2 {
        outln!(
            "over all of these sets\n\n{}",
            ood_rows::summary(&compared.rows, scores)
        )?;
    }
    stdout::text(&ood_rows::legend(args.bootstrap as usize).to_string())
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
        files::write_atomic(path, csv(&compared.rows).as_bytes())?;
        paths.push(path.clone());
    }
    for (at, score) in scores.iter().enumerate() {
        let path = folder.join(format!("{}.png", score.word()));
        let series = |(set, scores): &(String, Vec<Tensor>)| Ok((set.clone(), Vec::<f64>::try_from(&scores[at])?));
        let series = compared.scored.iter().map(series).collect::<Result<Vec<_>>>()?;
        report::histogram(&series, score.meaning(), score.name(), &path)?;
        paths.push(path);
    }
    Ok(paths)
}
