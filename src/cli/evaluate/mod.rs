//! `ebm evaluate RUN`: what a trained run is worth, in figures that say how they were measured.

mod features;
mod likelihood;
mod robustness;
mod samples;
mod subject;

use std::path::PathBuf;

use super::judging::non_negative;
use super::progress::say;
use super::status::Status;
use super::stdout;
use super::terminal::Terminal;
use crate::error::Result;
use crate::files::ensure_writable;
use crate::judging::evaluate::{Agreement, Classified, Evaluation, Likelihood, Measure, Quality, Subject};
use clap::ValueEnum;

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
    #[command(flatten)]
    likelihood: likelihood::Options,
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
    /// log Z by annealed importance sampling, and log p(x) of test data; of points the one that is
    /// measured unless given
    Likelihood,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let terminal = Terminal::default();
    let subject = args.subject.subject(|e| args.quality.apply(e), &terminal)?;
    // Whatever can be refused is refused before anything is measured.
    let parts = parts(args, &subject);
    let prepared = parts
        .iter()
        .map(|p| prepare(*p, args, &subject))
        .collect::<Result<Vec<_>>>()?;
    let own = Evaluation::file(&subject);
    let files = [Some(&own), args.json.as_ref()];
    files.iter().flatten().try_for_each(|path| ensure_writable(path))?;
    let mut evaluation = Evaluation::new(&subject)?;
    for part in prepared {
        if let Err(error) = evaluation.add(part.as_ref(), &subject) {
            // The parts before took their time, and are not lost with this one.
            stdout::text(&evaluation.words)?;
            return Err(error.into());
        }
    }
    evaluation.write(files.into_iter().flatten().map(PathBuf::as_path))?;
    stdout::text(&evaluation.words)?;
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
    if subject.loaded.image().is_err() {
        return vec![Part::Likelihood];
    }
    if subject.loaded.has_classes() {
        return vec![Part::Classification, Part::Quality];
    }
    say("classification is left out: the network of this run gives an energy and no logits");
    vec![Part::Quality]
}

fn prepare(part: Part, args: &Args, subject: &Subject) -> Result<Box<dyn Measure>> {
    if part != Part::Likelihood {
        subject.loaded.image()?;
    }
    Ok(match part {
        Part::Likelihood => Box::new(Likelihood::new(args.likelihood.choice(), subject)?),
        Part::Classification => Box::new(Classified::new(args.noise, subject)?),
        Part::Quality => {
            let (samples, features) = (args.quality.choice(subject), args.quality.features.choice());
            Box::new(Quality::new(&samples, args.quality.reference(), &features, subject)?)
        }
        Part::Robustness => Box::new(args.robustness.attack(args.noise, subject)?),
        Part::Agreement => {
            let length = args.quality.length(subject);
            Box::new(Agreement::new(args.judge.as_deref(), args.quality.n, length, subject)?)
        }
    })
}
