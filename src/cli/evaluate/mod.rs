//! `ebm evaluate RUN`: what a trained run is worth, in figures that say how they were measured.

mod agreement;
mod classification;
mod features;
mod part;
mod quality;
mod robustness;
mod samples;
mod subject;

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use self::agreement::Agreement;
use self::classification::Classified;
use self::part::Measure;
use self::quality::Quality;
use self::robustness::Robustness;
use self::subject::Subject;
use super::judging::non_negative;
use super::progress::say;
use super::status::Status;
use super::stdout;
use crate::error::{Result, shown_path};
use crate::files::ensure_writable;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: subject::Options,
    /// What to measure; classification (of a classifier's run) and quality unless given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    parts: Vec<Part>,
    /// Standard deviation, in images of [-1, 1], of noise added to every image before it is classified (JEM adds 0.03)
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, value_parser = non_negative)]
    noise: f64,
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

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let subject = Subject::new(&args.subject, |e| args.quality.apply(e))?;
    // Whatever can be refused is refused before anything is measured.
    let parts = parts(args, &subject);
    let prepared = parts
        .iter()
        .map(|p| prepare(*p, args, &subject))
        .collect::<Result<Vec<_>>>()?;
    let own = subject.out.join("evaluation.json");
    let files = [Some(&own), args.json.as_ref()];
    files.iter().flatten().try_for_each(|path| ensure_writable(path))?;
    let mut figures = subject.figures(&args.subject);
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
        Part::Classification => Box::new(Classified::new(args.noise, subject)?),
        Part::Quality => Box::new(Quality::new(&args.quality, subject)?),
        Part::Robustness => Box::new(Robustness::new(&args.robustness, args.noise, subject)?),
        Part::Agreement => Box::new(Agreement::new(args.judge.as_deref(), &args.quality, subject)?),
    })
}
