//! The options by which commands score images, and what they load for it.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tch::Device;

use super::model::Choice;
use super::progress::say;
use crate::data::Dataset;
use crate::data::{DataSet, Images, SplitRecord, Wanted};
use crate::energy::FrozenEnergy;
use crate::error::{Error, Result};
use crate::eval::{Judge, Score};
use crate::rng::Stream;
use crate::sampling;
use crate::train::own_data::{self, DATA};
use crate::train::{self, RunDir, Trained};

/// Images that are scored together.
pub const BATCH: usize = 256;

/// How many training images, at most, the mean of `typicality` is taken over.
const TYPICAL: usize = 5000;

/// How images are scored.
#[derive(Args, Debug, Clone, Copy)]
pub struct Options {
    /// Standard deviation of the noise that is added to every image before it is scored (JEM adds 0.03)
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, value_parser = non_negative)]
    pub noise: f64,
    /// Temperature T of the score `energy`, -T logsumexp of the logits / T
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = positive)]
    pub temperature: f64,
    /// Decides the noise, and the sets that are drawn
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A run's network, ready to score images.
pub struct Loaded {
    pub trained: Trained,
    pub device: Device,
    pub energy: FrozenEnergy,
    pub run: RunDir,
}

impl Loaded {
    /// Loads the chosen weights; scores are always computed in f32.
    pub fn new(run: &RunDir, choice: &Choice) -> Result<Self> {
        let (trained, device) = choice.load(run)?;
        Ok(Self {
            energy: sampling::score_energy(&trained.experiment.sampler, &trained.network),
            trained,
            device,
            run: run.clone(),
        })
    }

    /// Whether the network gives logits.
    pub fn has_classes(&self) -> bool {
        self.energy.network().classes().is_some()
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
        let count = self.energy.network().classes().unwrap_or(0) as usize;
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

    /// Refuses scores or a temperature that need logits which the network does not give; asked before data are loaded.
    pub fn ensure(&self, scores: &[Score], options: &Options) -> Result<()> {
        scores.iter().try_for_each(|s| s.ensure_classes(self.has_classes()))?;
        self.ensure_temperature(scores, options)
    }

    /// A judge of any score but `typicality`.
    pub fn judge(&self, options: &Options) -> Judge<'_> {
        Judge::new(&self.energy)
            .at_temperature(options.temperature)
            .with_noise(options.noise)
    }

    /// A judge of these scores: where `typicality` is among them, its mean is taken over `train`, and told on stderr.
    pub fn judge_by(&self, scores: &[Score], options: &Options, train: Option<&Images>) -> Result<Judge<'_>> {
        let judge = self.judge(options);
        let Some(train) = train.filter(|_| scores.contains(&Score::Typicality)) else {
            return Ok(judge);
        };
        let images = train.sampled(Some(TYPICAL), options.seed)?;
        let mean = judge.mean_log_px(&images.pixels, BATCH, &mut Stream::new(options.seed, "typical"))?;
        say(&format!(
            "typicality: log p(x) is {mean:.4} in the mean over {} of {} training images, up to a constant",
            images.len(),
            train.len()
        ));
        Ok(judge.with_typical(mean))
    }

    fn ensure_temperature(&self, scores: &[Score], options: &Options) -> Result<()> {
        let place = format!("--temperature {}", options.temperature);
        if options.temperature == 1.0 {
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

/// Reads one of the scores' words.
pub fn score() -> impl TypedValueParser<Value = Score> {
    PossibleValuesParser::new(Score::ALL.map(Score::word)).try_map(|word| word.parse::<Score>())
}

/// Reads a number of 0 or more.
pub fn non_negative(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v >= 0.0, "a number of 0 or more")
}

/// Reads a number above 0.
pub fn positive(text: &str) -> std::result::Result<f64, String> {
    number(text, |v| v > 0.0, "a number above 0")
}

/// Reads a finite number that `holds`.
pub fn number(text: &str, holds: impl Fn(f64) -> bool, expected: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && holds(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}
