//! `ebm threshold RUN --score S`: from what score on an image is out of distribution.

use std::path::PathBuf;

use super::judging::{Options, number, score};
use super::model::Choice;
use super::status::Status;
use super::stdout::outln;
use super::terminal::Terminal;
use crate::error::{shown, shown_path};
use crate::eval::Score;
use crate::judging::ThresholdFit;
use crate::run::RunDir;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// The score that decides
    #[arg(long, value_parser = score())]
    score: Score,
    /// The share of in-distribution images that is accepted, at least
    #[arg(long, default_value_t = 0.95, value_parser = share)]
    tpr: f64,
    /// The in-distribution images: validation, test, or a data set as `ebm ood --in` takes it
    #[arg(long, value_name = "SET", default_value = "validation")]
    on: String,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let loaded = args.choice.loaded(&run)?;
    let fit = ThresholdFit {
        score: args.score,
        tpr: args.tpr,
        on: &args.on,
        scoring: args.options.scoring(),
    };
    let fitted = fit.fit(&loaded, &Terminal::default())?;
    let path = fitted.keep(&run)?;
    outln!(
        "{} <= {} accepts {:.4} of {} images ({}; at least {} was asked for)",
        fitted.score,
        fitted.threshold,
        fitted.accepted,
        fitted.images,
        shown(&fitted.on),
        fitted.tpr
    )?;
    outln!("{}", shown_path(&path))?;
    Ok(Status::Done)
}

fn share(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v > 0.0 && v <= 1.0, "a share above 0, at most 1")
}
