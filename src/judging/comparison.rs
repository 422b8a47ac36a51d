//! How well each score tells the images of a run from others.

use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use super::comparison_rows::Row;
use super::inside::{Inside, InsideImages};
use super::loaded::{BATCH, Loaded, Scoring};
use crate::data::{self, DataSet};
use crate::error::{Result, shown};
use crate::eval::OodSet;
use crate::eval::outliers::{self, OutlierSource};
use crate::eval::{self, Detection, Judge, Score};
use crate::files;
use crate::report;
use crate::rng::Stream;
use crate::run::Listener;

/// What is compared, and how.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The scores, such as [`comparable_scores`] gives them.
    pub scores: &'a [Score],
    /// The sets that are out of distribution.
    pub sets: &'a [OodSet],
    /// At most so many images of each set, drawn by the seed, each class by its share.
    pub limit: Option<usize>,
    /// Resamples for the intervals; 0 for no intervals.
    pub bootstrap: usize,
    /// How images are scored.
    pub scoring: Scoring,
}

/// All figures, and the scores that they were made of.
#[derive(Debug)]
pub struct Compared {
    /// What is in distribution.
    pub inside: InsideImages,
    /// The figures, set after set, of each score.
    pub rows: Vec<Row>,
    /// The scores of each set, the one in distribution first, in the order of the scores asked for.
    pub scored: Vec<(String, Vec<Tensor>)>,
    /// How other data were fitted, a line a set.
    pub fits: Vec<String>,
}

/// The scores asked for, each once, else all that the network and its data allow.
pub fn comparable_scores(asked: &[Score], temperature: f64, loaded: &Loaded) -> Vec<Score> {
    if !asked.is_empty() {
        return once(asked, temperature);
    }
    let mut scores = Score::distinct(loaded.has_classes(), temperature);
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
            Some(known) if known != score => log::info!(
                "{} is left out, for it is the same number as {}",
                score.word(),
                known.word()
            ),
            Some(_) => {}
        }
    }
    scores
}

/// The sets asked for, else those of the run's `evaluate.ood`, else all that need no files.
///
/// # Errors
/// The run's states are no images.
pub fn outlier_sets(named: Vec<OodSet>, loaded: &Loaded) -> Result<Vec<OodSet>> {
    let e = &loaded.trained.experiment;
    Ok(match (named.is_empty(), e.evaluate.ood.is_empty()) {
        (false, _) => named,
        (true, false) => e.evaluate.ood.clone(),
        (true, true) => outliers::generated_sets(loaded.image()?),
    })
}

/// The run's data, where they are needed and it has any.
fn data(loaded: &Loaded, inside: &Inside, typicality: bool) -> Result<Option<DataSet>> {
    let needed = typicality || !matches!(inside, Inside::Other(_));
    let training = typicality || matches!(inside, Inside::Validation);
    (needed && loaded.has_data()).then(|| loaded.data(training)).transpose()
}

impl Comparison<'_> {
    /// Scores the images in distribution and each set; the listener hears of each set.
    ///
    /// # Errors
    /// Scores that the network does not have, and images that are not there or cannot be read.
    pub fn run(&self, loaded: &Loaded, inside: Inside, listener: &dyn Listener) -> Result<Compared> {
        loaded.ensure(self.scores, &self.scoring)?;
        let data = data(loaded, &inside, self.scores.contains(&Score::Typicality))?;
        let training = data.as_ref().map(|d| &d.train);
        let judge = loaded.judge_by(self.scores, &self.scoring, training, listener)?;
        let inside = InsideImages::new(loaded, inside, data, self.limit, self.scoring.seed)?;
        self.compare(loaded, &judge, inside, listener)
    }

    fn compare(
        &self,
        loaded: &Loaded,
        judge: &Judge,
        inside: InsideImages,
        listener: &dyn Listener,
    ) -> Result<Compared> {
        let rng = Stream::new(self.scoring.seed, "ood");
        // Noise on one set must not be that on another.
        let judged = |images: &Tensor, number: u64| -> Result<Vec<Tensor>> {
            let noise = &mut Stream::new(self.scoring.seed, "ood-noise").derive(number);
            let found = judge.judge_all(self.scores, images, BATCH, noise)?.scores;
            Ok(found.iter().map(|s| s.to_device(Device::Cpu)).collect())
        };
        let source = OutlierSource {
            inside: &inside.images,
            other: loaded.wanted(self.limit, self.scoring.seed),
        };
        let (mut rows, mut fits) = (Vec::new(), Vec::new());
        let mut scored = vec![(inside.name.clone(), judged(&inside.images.pixels, 0)?)];
        for (number, set) in (1..).zip(self.sets) {
            listener.says(&format!("scoring {} ...", shown(&outliers::set_name(set))));
            let outside = judged(&source.images(set, &rng)?, number)?;
            fits.extend(
                set.data()
                    .map(|d| format!("{}: {}", shown(&data::name(d)), loaded.fit_words(d))),
            );
            let resample = Stream::new(self.scoring.seed, "bootstrap").derive(number);
            for (score, (own, other)) in self.scores.iter().zip(scored[0].1.iter().zip(&outside)) {
                let figures = figures(own, other, self.bootstrap, resample.clone())?;
                rows.push(Row {
                    set: outliers::set_word(set),
                    score: *score,
                    figures,
                    inside: inside.name.clone(),
                    images_in: inside.images.len(),
                    images_out: other.numel() as i64,
                    noise: self.scoring.noise,
                    temperature: self.scoring.temperature,
                    step: loaded.trained.step,
                });
            }
            scored.push((outliers::set_name(set), outside));
        }
        Ok(Compared {
            inside,
            rows,
            scored,
            fits,
        })
    }
}

/// All scores are resampled alike, so that they can be compared.
fn figures(own: &Tensor, other: &Tensor, resamples: usize, mut rng: Stream) -> Result<Detection> {
    let bootstrap = (resamples > 0).then_some((resamples, &mut rng));
    eval::detection(own, other, bootstrap)
}

impl Compared {
    /// Draws a histogram a score into the folder, which is made where it is missing; gives the paths of the pictures.
    ///
    /// # Errors
    /// When a picture cannot be written.
    pub fn histograms(&self, scores: &[Score], folder: &Path) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for (at, score) in scores.iter().enumerate() {
            let path = folder.join(format!("{}.png", score.word()));
            files::create_parent(&path)?;
            let series = |(set, scores): &(String, Vec<Tensor>)| Ok((set.clone(), Vec::<f64>::try_from(&scores[at])?));
            let series = self.scored.iter().map(series).collect::<Result<Vec<_>>>()?;
            report::histogram(&series, score.meaning(), score.name(), &path)?;
            paths.push(path);
        }
        Ok(paths)
    }
}
