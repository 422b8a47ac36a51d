//! The score from which on an image is out of distribution: how it is fitted, kept and used.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::loaded::{BATCH, Loaded, Scoring};
use super::sets;
use crate::data::FitRule;
use crate::data::{self, DataSet, Dataset, Images};
use crate::error::{Error, Result, shown};
use crate::eval::{self, Score};
use crate::files;
use crate::rng::Stream;
use crate::run::{Listener, RunDir};

const FILE: &str = "threshold.json";

/// How a threshold is to be fitted.
#[derive(Debug, Clone, Copy)]
pub struct ThresholdFit<'a> {
    /// The score that decides.
    pub score: Score,
    /// The share of in-distribution images that is accepted, at least; above 0 and at most 1.
    pub tpr: f64,
    /// The in-distribution images: `validation`, `test`, or a set as [`sets::dataset`] takes it.
    pub on: &'a str,
    /// How images are scored.
    pub scoring: Scoring,
}

/// A fitted threshold, as it lies in a run's folder: an image is in distribution where its score is
/// at most this.
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

impl ThresholdFit<'_> {
    /// Fits a threshold to the weights that are loaded; the listener hears how images were fitted.
    ///
    /// # Errors
    /// Images that are not there or cannot be read, a score that the network does not have.
    pub fn fit(&self, loaded: &Loaded, listener: &dyn Listener) -> Result<Threshold> {
        let scores = [self.score];
        loaded.ensure(&scores, &self.scoring)?;
        let (images, named, data) = self.images(loaded)?;
        listener.says(&format!("images of {}: {}", shown(self.on), loaded.fit_words(&named)));
        let judge = loaded.judge_by(&scores, &self.scoring, data.as_ref().map(|d| &d.train), listener)?;
        let mut rng = Stream::new(self.scoring.seed, "threshold");
        let found = judge
            .judge_all(&scores, &images.pixels, BATCH, &mut rng)?
            .scores
            .remove(0);
        let threshold = eval::threshold(&found, self.tpr)?;
        let accepted = found.le(threshold).mean(tch::Kind::Double).f_double_value(&[])?;
        Ok(Threshold {
            score: self.score,
            threshold,
            tpr: self.tpr,
            accepted,
            on: self.on.to_owned(),
            images: images.len(),
            fit: Some(
                named
                    .own_rule()
                    .unwrap_or_else(|| loaded.trained.experiment.data.dataset.rule()),
            ),
            step: loaded.trained.step,
            weights: loaded.weights.word().into(),
            weights_sha256: fingerprint(loaded)?,
            noise: self.scoring.noise,
            seed: self.scoring.seed,
            temperature: self.scoring.temperature,
            typical: judge.typical(),
        })
    }

    /// The images to fit on, the set that they are of, and the run's data where they are needed.
    fn images(&self, loaded: &Loaded) -> Result<(Images, Dataset, Option<DataSet>)> {
        let from_run = ["validation", "test"].contains(&self.on);
        if from_run && !loaded.has_data() {
            return Err(Error::file(
                loaded.run.path(),
                "the run has no data of its own (data.dataset: none)",
                "name images that are in distribution and were not trained on, by --on SET",
            ));
        }
        let data = match from_run || (self.score == Score::Typicality && loaded.has_data()) {
            true => Some(loaded.data(self.on != "test" || self.score == Score::Typicality)?),
            false => None,
        };
        let named = match from_run {
            true => loaded.trained.experiment.data.dataset.clone(),
            false => sets::dataset(self.on)?,
        };
        let images = match (&data, self.on) {
            (Some(data), "validation") => validation(data, loaded, self.score)?,
            (Some(data), "test") => data.test.shallow_clone(),
            _ => data::test_images(&named, &loaded.wanted(None, self.scoring.seed))?,
        };
        Ok((images, named, data))
    }
}

fn validation(data: &DataSet, loaded: &Loaded, score: Score) -> Result<Images> {
    if !data.validation.is_empty() {
        return Ok(data.validation.shallow_clone());
    }
    Err(Error::file(
        loaded.run.path(),
        "the run held no validation images out (data.validation: 0)",
        format!(
            "fit it on the run's {} test images, which were not trained on either: `ebm threshold {} --score {} --on test` (figures on test images then say too much: to keep them apart, train with data.validation above 0), or name other images by --on SET",
            data.test.len(),
            loaded.run.path().display(),
            score.word()
        ),
    ))
}

/// The SHA-256 of the weights that score.
fn fingerprint(loaded: &Loaded) -> Result<String> {
    Ok(files::sha256(&files::encode(
        &loaded.trained.model.state().into_iter().collect(),
    )?))
}

impl Threshold {
    /// The threshold of the loaded run, if it was fitted to the weights that are loaded.
    ///
    /// # Errors
    /// There is none, or it belongs to other weights.
    pub fn of(loaded: &Loaded) -> Result<Self> {
        let path = loaded.run.path().join(FILE);
        let fit = "fit one by `ebm threshold RUN --score S`, with the --checkpoint and --weights that score";
        let found: Self = loaded
            .run
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
                loaded.weights.word(),
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

    /// Keeps the threshold in the run's folder; gives the path of its file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, run: &RunDir) -> Result<PathBuf> {
        run.write_json(FILE, self)?;
        Ok(run.path().join(FILE))
    }

    /// How the threshold's images were scored.
    pub fn scoring(&self) -> Scoring {
        Scoring {
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
