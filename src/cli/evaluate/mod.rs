//! `ebm evaluate RUN`: what a trained run is worth, in figures that say how they were measured.

mod agreement;
mod classification;
mod features;
mod quality;
mod robustness;
mod samples;
mod subject;

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use self::agreement::Agreement;
use self::classification::Classified;
use self::quality::Quality;
use self::robustness::Robustness;
use self::subject::Subject;
use super::Status;
use super::judging::non_negative;
use super::model::Choice;
use super::outputs::ensure_writable;
use super::progress::say;
use super::stdout;
use crate::error::{Result, shown_path};

/// Figures by name.
type Figures = Map<String, Value>;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// What to measure; classification (of a classifier's run) and quality unless given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    parts: Vec<Part>,
    /// Images to measure on: the test images of a set that has its own (a named one, say), else all
    /// of a folder, a .npy or an idx stack; the run's own test images unless given
    #[arg(long, value_name = "SET")]
    data: Option<String>,
    /// At most so many images, drawn by --seed, each class by its share; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Standard deviation, in images of [-1, 1], of noise added to every image before it is classified (JEM adds 0.03)
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, value_parser = non_negative)]
    noise: f64,
    /// Decides every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for pictures and evaluation.json; RUN/evaluate unless given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The run of an independent classifier, for agreement
    #[arg(long, value_name = "RUN")]
    judge: Option<PathBuf>,
    #[command(flatten)]
    quality: samples::Options,
    #[command(flatten)]
    robustness: robustness::Options,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Accuracy, likelihood and calibration on test images
    Classification,
    /// Synthesised images against data
    Quality,
    /// Accuracy under attack; slow
    Robustness,
    /// Whether images synthesised for a class are taken for it
    Agreement,
}

/// What a part found: figures, and the words that are printed once all files are written.
type Found = (Figures, String);

/// A part whose options were found to be usable.
trait Measure {
    /// Measures, and writes pictures.
    fn measure(&self, subject: &Subject) -> Result<Found>;
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let subject = Subject::new(args)?;
    // Whatever can be refused is refused before anything is measured.
    let parts = parts(args, &subject);
    let prepared = parts
        .iter()
        .map(|p| prepare(*p, args, &subject))
        .collect::<Result<Vec<_>>>()?;
    let own = subject.out.join("evaluation.json");
    let files = [Some(&own), args.json.as_ref()];
    files.iter().flatten().try_for_each(|path| ensure_writable(path))?;
    let mut figures = subject.figures(args);
    let mut words = String::new();
    for part in prepared {
        match part.measure(&subject) {
            Ok((found, text)) => {
                figures.extend(found);
                words.push_str(&text);
            }
            Err(error) => {
                // The parts before took their time, and are not lost with this one.
                stdout::text(&words)?;
                return Err(error.into());
            }
        }
    }
    let text = serde_json::to_string_pretty(&json!(figures)).expect("figures always serialise");
    for path in files.into_iter().flatten() {
        crate::files::write_atomic(path, text.as_bytes())?;
        words.push_str(&format!("{}\n", shown_path(path)));
    }
    stdout::text(&words)?;
    Ok(Status::Done)
}

/// The parts that are asked for; without any, what the run allows.
fn parts(args: &Args, subject: &Subject) -> Vec<Part> {
    if !args.parts.is_empty() {
        let mut parts = args.parts.clone();
        parts.sort_by_key(|p| *p as u8);
        parts.dedup();
        return parts;
    }
    if subject.loaded.has_classes() {
        return vec![Part::Classification, Part::Quality];
    }
    say("classification is left out: the network of this run gives an energy and no logits");
    vec![Part::Quality]
}

fn prepare(part: Part, args: &Args, subject: &Subject) -> Result<Box<dyn Measure>> {
    Ok(match part {
        Part::Classification => Box::new(Classified::new(args, subject)?),
        Part::Quality => Box::new(Quality::new(&args.quality, subject)?),
        Part::Robustness => Box::new(Robustness::new(args, subject)?),
        Part::Agreement => Box::new(Agreement::new(args, subject)?),
    })
}
