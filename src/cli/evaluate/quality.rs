//! Synthesised images against data, in the features of a network.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use tch::Tensor;

use super::features::{self, Networks};
use super::subject::Subject;
use super::{Figures, Found, Measure};
use crate::cli::progress::say;
use crate::cli::sample::columns;
use crate::cli::starts::From;
use crate::config::{Chains, FitRule};
use crate::data::ScoreInput;
use crate::error::{Error, Result, shown, shown_path};
use crate::eval::{self, Features, InceptionScore};
use crate::report;

/// Images that go through a network together.
const BATCH: usize = 100;
/// Splits of the samples for the score (Salimans et al. 2016).
const SPLITS: usize = 10;
/// Samples in the picture.
const SHOWN: i64 = 100;

#[derive(clap::Args)]
#[command(next_help_heading = "Samples")]
pub struct Options {
    /// How many images to synthesise
    #[arg(short, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub n: i64,
    /// Images that are there already, instead of synthesised ones: a .npy stack or a folder
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = ["from", "steps", "by_class"])]
    samples: Option<PathBuf>,
    /// Where the chains start
    #[arg(long, value_enum, default_value_t = Source::Noise)]
    from: Source,
    /// Steps of the chains; report.sample_steps of the run unless given, 0 from the buffer
    #[arg(long)]
    steps: Option<usize>,
    /// Chains move by E(x,y), classes take turns, rather than by E(x); as the run's chains do unless given
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    by_class: Option<bool>,
    /// The images that samples are compared with
    #[arg(long, value_enum, default_value_t = Reference::Test)]
    reference: Reference,
    #[command(flatten)]
    features: features::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The distribution that fresh chains of the run start from
    Noise,
    /// The persistent chains of the checkpoint
    Buffer,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reference {
    Test,
    Train,
}

impl Options {
    /// Steps of chains from noise.
    pub fn steps(&self, subject: &Subject) -> usize {
        self.steps
            .unwrap_or_else(|| subject.loaded.trained.experiment.sample_steps())
    }
}

/// Samples to compare, or how to make them.
pub struct Quality {
    networks: Networks,
    reference: Tensor,
    reference_words: String,
    samples: Samples,
}

enum Samples {
    /// u8 `[N,C,H,W]`, and the file or folder.
    Given(Tensor, String),
    Chains {
        n: i64,
        from: Source,
        steps: usize,
        by_class: bool,
    },
}

impl Quality {
    /// # Errors
    /// A network, images or samples that cannot be used; classes that the run does not have.
    pub fn new(o: &Options, subject: &Subject) -> Result<Self> {
        let networks = o.features.load(subject)?;
        if o.by_class == Some(true) {
            subject.classes("--by-class")?;
        }
        let (reference, part) = match o.reference {
            Reference::Test => (subject.test()?, subject.part_word()),
            Reference::Train => (subject.train()?, "training images"),
        };
        let samples = match &o.samples {
            Some(path) => Samples::Given(read(path, subject)?, path.display().to_string()),
            None => Samples::Chains {
                n: o.n,
                from: o.from,
                steps: match o.from {
                    Source::Noise => o.steps(subject),
                    Source::Buffer => o.steps.unwrap_or(0),
                },
                by_class: o.by_class.unwrap_or_else(|| {
                    let e = &subject.loaded.trained.experiment;
                    e.objective.chains == Chains::ByClass && subject.loaded.has_classes()
                }),
            },
        };
        eval::enough(reference.len(), "the reference")?;
        eval::enough(samples.count(), "the samples")?;
        // Of a network that gives nothing usable the first images tell, before any chain runs.
        let first = reference.pixels.narrow(0, 0, 1);
        networks.ensure_inception(networks.features.of(&first, 1)?.size()[1])?;
        if let Some(classes) = &networks.classes {
            let of_one = classes.of(&first, 1)?;
            eval::inception_score(&of_one, 1)?;
        }
        Ok(Self {
            networks,
            reference_words: format!("{} {part} of {}", reference.len(), subject.set),
            reference: reference.pixels,
            samples,
        })
    }

    /// exp E KL(p(y|x) || p(y)) of the samples, and whose classes they are; none without a network of classes.
    fn score(&self, samples: &Tensor) -> Result<Option<(InceptionScore, &Features)>> {
        let network = self.networks.classes.as_ref();
        let (network, probabilities) = match network {
            Some(network) => (network, Some(network.of(samples, BATCH)?)),
            None => {
                let network = &self.networks.features;
                (network, network.probabilities(samples, BATCH)?)
            }
        };
        let splits = SPLITS.min(samples.size()[0] as usize);
        let score = probabilities.map(|p| eval::inception_score(&p, splits)).transpose()?;
        Ok(score.map(|score| (score, network)))
    }

    fn words(&self, figures: &Figures, samples: i64) -> String {
        let text = |key: &str| figures[key].as_f64().map_or_else(|| "-".into(), |v| format!("{v:.4}"));
        let name = figures["name"].as_str().unwrap_or_default().to_owned();
        let mut rows = vec![vec![name, text("frechet_distance")]];
        for key in ["precision", "recall", "density", "coverage"] {
            rows.push(vec![format!("{key} ({} of each)", figures["neighbours"]), text(key)]);
        }
        if let Some(score) = figures.get("score") {
            let name = format!(
                "Inception-style score in the classes of {}",
                score["network"].as_str().unwrap_or_default()
            );
            let (mean, std) = (
                score["mean"].as_f64().unwrap_or(f64::NAN),
                score["std"].as_f64().unwrap_or(f64::NAN),
            );
            rows.push(vec![name, format!("{mean:.4} +- {std:.4}")]);
        }
        let mut words = format!("{}\n", report::table(&["quality of samples", ""], &rows));
        words += &format!(
            "samples:   {samples}, {}\n",
            shown(figures["samples_from"].as_str().unwrap_or_default())
        );
        words += &format!("reference: {}\n", shown(&self.reference_words));
        let network = &self.networks.features;
        words += &format!(
            "features:  {} of {}, SHA-256 {}\n",
            figures["features"]["count"], shown(&network.name), network.sha256
        );
        words
    }
}

impl Measure for Quality {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let (samples, source) = self.samples.make(subject)?;
        let count = samples.size()[0];
        let picture = subject.out.join("samples.png");
        let shown = samples.narrow(0, 0, count.min(SHOWN));
        report::grid(&shown, columns(shown.size()[0]), &picture)?;
        let network = &self.networks.features;
        let (real, made) = (network.of(&self.reference, BATCH)?, network.of(&samples, BATCH)?);
        let dim = real.size()[1];
        if count.min(real.size()[0]) <= dim {
            say(&format!(
                "notice: {} images on the smaller side for {dim} features: the Frechet distance is far too large, and comparable only with as many",
                count.min(real.size()[0])
            ));
        }
        let quality = eval::Quality::new(&real, &made)?;
        let mut figures: Figures = serde_json::from_value(json!(quality)).expect("figures are a map");
        let name = eval::frechet_name(&network.name, self.networks.inception, count as usize);
        figures.insert("name".into(), json!(name));
        figures.insert("samples".into(), json!(count));
        figures.insert("samples_from".into(), json!(source));
        figures.insert("reference".into(), json!(self.reference_words));
        let of = json!({ "name": network.name, "sha256": network.sha256, "count": dim });
        figures.insert("features".into(), of);
        if let Some((score, network)) = self.score(&samples)? {
            let mut score = json!(score);
            score["network"] = json!(network.name);
            score["sha256"] = json!(network.sha256);
            figures.insert("score".into(), score);
        }
        let mut words = self.words(&figures, count);
        words += &format!("{}\n\n", shown_path(&picture));
        Ok((Figures::from_iter([("quality".to_owned(), json!(figures))]), words))
    }
}

impl Samples {
    fn count(&self) -> i64 {
        match self {
            Self::Given(images, _) => images.size()[0],
            Self::Chains { n, .. } => *n,
        }
    }

    /// The images, and where they come from in words.
    fn make(&self, subject: &Subject) -> Result<(Tensor, String)> {
        Ok(match self {
            Self::Given(images, path) => (images.shallow_clone(), format!("from {path}")),
            Self::Chains {
                n,
                from,
                steps,
                by_class,
            } => {
                let (from, word) = match from {
                    Source::Noise => (From::Noise, "noise"),
                    Source::Buffer => (From::Buffer, "the replay buffer"),
                };
                let words = format!("chains of {steps} steps from {word}");
                match by_class {
                    true => (subject.by_class(*n, from, *steps)?.0, format!("{words}, by class")),
                    false => (subject.synthesised(*n, from, *steps)?, words),
                }
            }
        })
    }
}

/// Images from a stack or a folder, u8 `[N,C,H,W]`; they must be of the model's size.
fn read(path: &Path, subject: &Subject) -> Result<Tensor> {
    let input = subject.loaded.trained.experiment.model.input;
    let mut items = ScoreInput::new(&[path.to_path_buf()], input, FitRule::Exact);
    let mut parts = Vec::new();
    while let Some(batch) = items.next_batch(1000) {
        batch.items.into_iter().try_for_each(|(_, _, outcome)| outcome)?;
        parts.push(batch.images);
    }
    if parts.is_empty() {
        return Err(Error::file(
            path,
            "holds no image",
            "give a stack or a folder of samples",
        ));
    }
    Ok(Tensor::cat(&parts, 0).to_device(subject.loaded.device))
}
