//! A run that is loaded to be scored by: its network, its data, and the judges that they make.

use tch::Device;

use crate::data::Dataset;
use crate::data::{DataSet, Images, SplitRecord, Wanted};
use crate::error::{Error, Result};
use crate::eval::{Judge, Score};
use crate::models::{FrozenModel, score_form};
use crate::rng::Stream;
use crate::run::own_data::{self, DATA};
use crate::run::{self, Listener, RunDir, Trained, Weights, Which};
use crate::train;

/// Images that are scored together.
pub const BATCH: usize = 256;

/// How many training images, at most, the mean of `typicality` is taken over.
const TYPICAL: usize = 5000;

/// How images are scored.
#[derive(Debug, Clone, Copy)]
pub struct Scoring {
    /// Standard deviation of the noise that is added to every image, in images of [-1, 1].
    pub noise: f64,
    /// Temperature T of the score `energy`, -T logsumexp of the logits / T.
    pub temperature: f64,
    /// Decides the noise, and the sets that are drawn.
    pub seed: u64,
}

/// Images as they are, at temperature 1 and seed 0.
impl Default for Scoring {
    fn default() -> Self {
        Self {
            noise: 0.0,
            temperature: 1.0,
            seed: 0,
        }
    }
}

/// A run's network, ready to score images.
pub struct Loaded {
    /// The configuration, the network and its step.
    pub trained: Trained,
    /// Which weights they are.
    pub weights: Weights,
    /// Where the network lies.
    pub device: Device,
    /// The energy that scores, in f32.
    pub energy: Box<dyn FrozenModel>,
    /// T of the density exp(-E/T) that the run was trained to be.
    pub temperature: f64,
    /// The run's folder.
    pub run: RunDir,
    /// The shape of a state.
    pub shape: Vec<i64>,
}

impl Loaded {
    /// Loads these weights of this checkpoint.
    ///
    /// # Errors
    /// Those of [`run::load`].
    pub fn open(run: &RunDir, which: Which, weights: Weights, device: Device) -> Result<Self> {
        Self::new(run, run::load(run, which, weights, device)?, weights)
    }

    /// Of weights that are loaded; scores are always computed in f32.
    ///
    /// # Errors
    /// The run's states are no images.
    pub fn new(run: &RunDir, trained: Trained, weights: Weights) -> Result<Self> {
        trained.experiment.model.image()?;
        Ok(Self::of_any(run, trained, weights))
    }

    /// The same of states of any shape, for what is not about images alone.
    pub fn of_any(run: &RunDir, trained: Trained, weights: Weights) -> Self {
        let e = &trained.experiment;
        Self {
            shape: e.model.input().to_vec(),
            temperature: e.temperature(),
            energy: trained.model.freeze(score_form(&e.compute, e.temperature())),
            device: trained.model.device(),
            trained,
            weights,
            run: run.clone(),
        }
    }

    /// Channels, height and width of an image.
    ///
    /// # Errors
    /// The run's states are no images.
    pub fn image(&self) -> Result<[i64; 3]> {
        self.trained.experiment.model.image()
    }

    /// Whether the network gives logits.
    pub fn has_classes(&self) -> bool {
        self.energy.classes().is_some()
    }

    /// Whether the run knows of images that it was trained on.
    pub fn has_data(&self) -> bool {
        self.trained.experiment.data.dataset != Dataset::None
    }

    /// The run's data, of which training or validation images are looked at, or test images alone.
    ///
    /// # Errors
    /// The run has none, they cannot be read, or are not those that it was trained on.
    pub fn data(&self, training: bool) -> Result<DataSet> {
        let data = own_data::open(&self.run, &self.trained.experiment, self.device)?;
        if training {
            own_data::ensure_same_limit(&self.run, &data.record)?;
        }
        Ok(data)
    }

    /// The classes' names as the run's data had them, else their numbers.
    pub fn class_names(&self) -> Vec<String> {
        let count = self.energy.classes().unwrap_or(0) as usize;
        let record: Option<SplitRecord> = self.run.read_json(DATA);
        let names = record.map(|r| r.classes).filter(|names| names.len() == count);
        names.unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect())
    }

    /// How other images than the run's are wanted: brought to the model's shape by the rule of the
    /// run's own data.
    pub fn wanted(&self, limit: Option<usize>, seed: u64) -> Wanted<'_> {
        train::wanted(&self.trained.experiment, self.device, limit, seed)
    }

    /// The rule by which images of a set are fitted, in words.
    pub fn fit_words(&self, dataset: &Dataset) -> String {
        train::fit_words(&self.trained.experiment, dataset)
    }

    /// Refuses scores or a temperature that need logits which the network does not give; asked
    /// before data are loaded.
    ///
    /// # Errors
    /// Names the score or the temperature.
    pub fn ensure(&self, scores: &[Score], scoring: &Scoring) -> Result<()> {
        scores.iter().try_for_each(|s| s.ensure_classes(self.has_classes()))?;
        self.ensure_temperature(scores, scoring)
    }

    /// A judge of any score but `typicality`.
    pub fn judge(&self, scoring: &Scoring) -> Judge<'_> {
        Judge::new(self.energy.outputs())
            .at_temperature(scoring.temperature)
            .with_noise(scoring.noise)
    }

    /// A judge of these scores. Where `typicality` is among them, its mean is taken over `train`, and
    /// the listener hears it.
    ///
    /// # Errors
    /// Images whose score is not finite.
    pub fn judge_by(
        &self,
        scores: &[Score],
        scoring: &Scoring,
        train: Option<&Images>,
        listener: &dyn Listener,
    ) -> Result<Judge<'_>> {
        let judge = self.judge(scoring);
        let Some(train) = train.filter(|_| scores.contains(&Score::Typicality)) else {
            return Ok(judge);
        };
        let images = train.sampled(Some(TYPICAL), scoring.seed)?;
        let mean = judge.mean_log_px(&images.pixels, BATCH, &mut Stream::new(scoring.seed, "typical"))?;
        listener.says(&format!(
            "typicality: log p(x) is {mean:.4} in the mean over {} of {} training images, up to a constant",
            images.len(),
            train.len()
        ));
        Ok(judge.with_typical(mean))
    }

    fn ensure_temperature(&self, scores: &[Score], scoring: &Scoring) -> Result<()> {
        let place = format!("--temperature {}", scoring.temperature);
        if scoring.temperature == 1.0 {
            Ok(())
        } else if !self.has_classes() {
            Err(Error::input(
                place,
                "divides logits; this network gives an energy and no logits",
                "leave it out, or use a run whose model has `output: logits`",
            ))
        } else if !scores.contains(&Score::Energy) {
            Err(Error::input(
                place,
                "is of the score `energy`, which is not asked for",
                "name that score as well, or leave the temperature out",
            ))
        } else {
            Ok(())
        }
    }
}
