//! `ebm threshold RUN --score S`: from what score on an image is out of distribution.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::judging::{BATCH, Loaded, Options, number, score};
use super::model::Choice;
use super::progress::say;
use super::sets;
use super::status::Status;
use super::stdout::outln;
use crate::data::FitRule;
use crate::data::{self, DataSet, Images};
use crate::error::{Error, Result, shown, shown_path};
use crate::eval::{self, Score};
use crate::files;
use crate::rng::Stream;
use crate::train::RunDir;

const FILE: &str = "threshold.json";

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

/// A fitted threshold, as it lies in a run's folder: an image is in distribution where its score is at most this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The score that decides.
    pub score: Score,
    /// The largest score of an image that is in distribution.
    pub threshold: f64,
    /// The share of images that was to be accepted, at least.
    pub tpr: f64,
    /// The share that is accepted.
    pub accepted: f64,
    /// Which images it was fitted on.
    pub on: String,
    /// How many.
    pub images: i64,
    /// The rule by which images of another size were brought to the model's; none in old files.
    #[serde(default)]
    pub fit: Option<FitRule>,
    /// The step of the checkpoint.
    pub step: u64,
    /// Its weights: `ema` or `raw`.
    pub weights: String,
    /// The SHA-256 of these weights.
    pub weights_sha256: String,
    /// Standard deviation of the noise that was added to the images.
    pub noise: f64,
    /// What decided the noise.
    pub seed: u64,
    /// The temperature of the score `energy`.
    pub temperature: f64,
    /// The mean of log p(x) over training images, where the score is `typicality`.
    pub typical: Option<f64>,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let loaded = Loaded::new(&run, &args.choice)?;
    let fitted = fit(args, &loaded)?;
    run.write_json(FILE, &fitted)?;
    outln!(
        "{} <= {} accepts {:.4} of {} images ({}; at least {} was asked for)",
        fitted.score,
        fitted.threshold,
        fitted.accepted,
        fitted.images,
        shown(&fitted.on),
        fitted.tpr
    )?;
    outln!("{}", shown_path(&run.path().join(FILE)))?;
    Ok(Status::Done)
}

fn fit(args: &Args, loaded: &Loaded) -> Result<Threshold> {
    let scores = [args.score];
    loaded.ensure(&scores, &args.options)?;
    let from_run = ["validation", "test"].contains(&args.on.as_str());
    if from_run && !loaded.has_data() {
        return Err(Error::file(
            &args.run,
            "the run has no data of its own (data.dataset: none)",
            "name images that are in distribution and were not trained on, by --on SET",
        ));
    }
    let data = match from_run || (args.score == Score::Typicality && loaded.has_data()) {
        true => Some(loaded.data(args.on != "test" || args.score == Score::Typicality)?),
        false => None,
    };
    let named = match from_run {
        true => loaded.trained.experiment.data.dataset.clone(),
        false => sets::dataset(&args.on)?,
    };
    let images = match (&data, args.on.as_str()) {
        (Some(data), "validation") => validation(data, args)?,
        (Some(data), "test") => data.test.shallow_clone(),
        _ => data::test_images(&named, &loaded.wanted(None, args.options.seed))?,
    };
    say(&format!("images of {}: {}", shown(&args.on), loaded.fit_words(&named)));
    let judge = loaded.judge_by(&scores, &args.options, data.as_ref().map(|d| &d.train))?;
    let mut rng = Stream::new(args.options.seed, "threshold");
    let found = judge
        .judge_all(&scores, &images.pixels, BATCH, &mut rng)?
        .scores
        .remove(0);
    let threshold = eval::threshold(&found, args.tpr)?;
    let accepted = found.le(threshold).mean(tch::Kind::Double).f_double_value(&[])?;
    Ok(Threshold {
        score: args.score,
        threshold,
        tpr: args.tpr,
        accepted,
        on: args.on.clone(),
        images: images.len(),
        fit: Some(
            named
                .own_rule()
                .unwrap_or_else(|| loaded.trained.experiment.data.dataset.rule()),
        ),
        step: loaded.trained.step,
        weights: args.choice.weights_word().into(),
        weights_sha256: fingerprint(loaded)?,
        noise: args.options.noise,
        seed: args.options.seed,
        temperature: args.options.temperature,
        typical: judge.typical(),
    })
}

fn validation(data: &DataSet, args: &Args) -> Result<Images> {
    if !data.validation.is_empty() {
        return Ok(data.validation.shallow_clone());
    }
    Err(Error::file(
        &args.run,
        "the run held no validation images out (data.validation: 0)",
        format!(
            "fit it on the run's {} test images, which were not trained on either: `ebm threshold {} --score {} --on test` (figures on test images then say too much: to keep them apart, train with data.validation above 0), or name other images by --on SET",
            data.test.len(),
            args.run.display(),
            args.score.word()
        ),
    ))
}

/// The SHA-256 of the weights that score.
fn fingerprint(loaded: &Loaded) -> Result<String> {
    Ok(files::sha256(&files::encode(
        &loaded.trained.network.state().into_iter().collect(),
    )?))
}

impl Threshold {
    /// The threshold of a run, if it was fitted to the weights that are loaded.
    ///
    /// # Errors
    /// There is none, or it belongs to other weights.
    pub fn of(run: &RunDir, loaded: &Loaded, choice: &Choice) -> Result<Self> {
        let path = run.path().join(FILE);
        let fit = "fit one by `ebm threshold RUN --score S`, with the --checkpoint and --weights that score";
        let found: Self = run
            .read_json(FILE)
            .ok_or_else(|| Error::file(&path, "there is no threshold, or none that can be read", fit))?;
        found.ensure_fit(&path, loaded.trained.experiment.data.dataset.rule(), fit)?;
        if found.weights_sha256 == fingerprint(loaded)? {
            return Ok(found);
        }
        Err(Error::file(
            &path,
            format!(
                "was fitted to the {} weights of step {}; these are the {} weights of step {}, and differ",
                found.weights,
                found.step,
                choice.weights_word(),
                loaded.trained.step
            ),
            format!(
                "{fit}, or score with those (--checkpoint {} --weights {})",
                found.step, found.weights
            ),
        ))
    }

    /// Refuses a file of a version that fitted the pictures of --on by a rule that it did not keep.
    fn ensure_fit(&self, path: &Path, rule: FitRule, remedy: &str) -> Result<()> {
        let from_run = ["validation", "test"].contains(&self.on.as_str());
        if self.fit.is_some() || from_run || rule == FitRule::default() {
            return Ok(());
        }
        Err(Error::file(
            path,
            format!(
                "does not say by which rule the images of {} were fitted; those that are scored are by `{rule}`",
                self.on
            ),
            remedy,
        ))
    }

    /// How the threshold's images were scored.
    pub fn options(&self) -> Options {
        Options {
            noise: self.noise,
            temperature: self.temperature,
            seed: self.seed,
        }
    }

    /// Whether an image of this score is in distribution; a score that is not a number is not.
    pub fn accepts(&self, score: f64) -> bool {
        score <= self.threshold
    }
}

fn share(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v > 0.0 && v <= 1.0, "a share above 0, at most 1")
}
