//! Synthesised images against data, in the features of a network, beside what chains start from and
//! real images.

use serde_json::{Value, json};
use tch::{Device, Tensor};

use super::features::{FeatureChoice, Networks};
use super::part::{Found, Measure};
use super::samples::{SampleChoice, Samples};
use super::subject::{Figures, Subject};
use crate::error::{Result, shown, shown_path};
use crate::eval::{self, Features};
use crate::report;

/// Images that go through a network together.
const BATCH: usize = 100;
/// Splits of the samples for the score (Salimans et al. 2016).
const SPLITS: usize = 10;
/// Samples in the picture.
const SHOWN: i64 = 100;

/// The images that samples are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The subject's test images.
    Test,
    /// Its training images.
    Train,
}

/// Samples to compare, or how to make them.
pub struct Quality {
    networks: Networks,
    reference: Tensor,
    reference_words: String,
    /// Images of data that are not the reference, as many as samples at most, and the key of their
    /// figures.
    real: Option<(&'static str, Tensor)>,
    samples: Samples,
}

impl Quality {
    /// Samples against the reference, in features of these networks; images of the other kind are
    /// compared as well.
    ///
    /// # Errors
    /// A network, images or samples that cannot be used; classes that the run does not have.
    pub fn new(
        samples: &SampleChoice,
        reference: Reference,
        features: &FeatureChoice,
        subject: &Subject,
    ) -> Result<Self> {
        let networks = features.load(subject)?;
        let samples = Samples::new(samples, subject)?;
        let (images, part) = match reference {
            Reference::Test => (subject.test()?, subject.part_word()),
            Reference::Train => (subject.train()?, "training images"),
        };
        eval::enough(images.len(), "the reference")?;
        eval::enough(samples.count(), "the samples")?;
        // Of a network that gives nothing usable the first images tell, before any chain runs.
        let first = images.pixels.narrow(0, 0, 1);
        networks.ensure_inception(networks.features.of(&first, 1)?.size()[1])?;
        if let Some(classes) = &networks.classes {
            let of_one = classes.of(&first, 1)?;
            eval::inception_score(&of_one, 1)?;
        }
        Ok(Self {
            networks,
            reference_words: format!("{} {part} of {}", images.len(), subject.set),
            reference: images.pixels,
            real: real(reference, samples.count(), subject)?,
            samples,
        })
    }

    /// The figures of images against the reference, `real` being the reference's features.
    fn figures(&self, real: &Tensor, images: &Tensor) -> Result<Figures> {
        let made = self.networks.features.of(images, BATCH)?;
        let quality = eval::Quality::new(real, &made)?;
        let mut figures: Figures = serde_json::from_value(json!(quality)).expect("figures are a map");
        figures.insert("images".into(), json!(images.size()[0]));
        let (network, probabilities) = self.probabilities(images)?;
        if let Some(probabilities) = probabilities {
            let splits = SPLITS.min(images.size()[0] as usize);
            let mut score = json!(eval::inception_score(&probabilities, splits)?);
            score["network"] = json!(network.name);
            score["sha256"] = json!(network.sha256);
            figures.insert("score".into(), score);
        }
        Ok(figures)
    }

    /// The classes that a network sees in images, and the network; none without a network of
    /// classes.
    fn probabilities(&self, images: &Tensor) -> Result<(&Features, Option<Tensor>)> {
        Ok(match &self.networks.classes {
            Some(network) => (network, Some(network.of(images, BATCH)?)),
            None => {
                let network = &self.networks.features;
                (network, network.probabilities(images, BATCH)?)
            }
        })
    }

    /// The samples' figures, with those of what stands beside them.
    fn all(&self, samples: &Tensor, starts: Option<&Tensor>) -> Result<Figures> {
        let network = &self.networks.features;
        let reference = network.of(&self.reference, BATCH)?;
        let dim = reference.size()[1];
        let fewest = samples.size()[0].min(reference.size()[0]);
        if fewest <= dim {
            log::info!(
                "{fewest} images on the smaller side for {dim} features: the Frechet distance is far too large, and comparable only with as many"
            );
        }
        let mut figures = self.figures(&reference, samples)?;
        let name = eval::frechet_name(&network.name, self.networks.inception, samples.size()[0] as usize);
        figures.insert("name".into(), json!(name));
        let count = figures.remove("images");
        figures.insert("samples".into(), json!(count));
        figures.insert("samples_from".into(), json!(self.samples.words()));
        figures.insert("reference".into(), json!(self.reference_words));
        let of = json!({ "name": network.name, "sha256": network.sha256, "count": dim });
        figures.insert("features".into(), of);
        if let Some(starts) = starts.filter(|_| self.samples.moved()) {
            figures.insert("start_of_chains".into(), json!(self.figures(&reference, starts)?));
        }
        if let Some((key, real)) = &self.real {
            figures.insert((*key).into(), json!(self.figures(&reference, real)?));
        }
        Ok(figures)
    }

    /// The table and what it is of, as lines.
    fn words(&self, figures: &Figures) -> String {
        let beside = |key: &str| figures.get(key).map(|value| (key.replace('_', " "), value));
        let samples = json!(figures);
        let mut columns = vec![(format!("samples ({})", figures["samples"]), &samples)];
        let others = ["start_of_chains", "training_images", "test_images"];
        for (name, value) in others.into_iter().filter_map(beside) {
            columns.push((format!("{name} ({})", value["images"]), value));
        }
        let row = |name: String, text: &dyn Fn(&Value) -> String| {
            let cells = columns.iter().map(|(_, value)| text(value));
            std::iter::once(name).chain(cells).collect::<Vec<_>>()
        };
        let number = |value: &Value| value.as_f64().map_or_else(|| "-".into(), |v| format!("{v:.4}"));
        let name = figures["name"].as_str().unwrap_or_default().to_owned();
        let mut rows = vec![row(name, &|v| number(&v["frechet_distance"]))];
        for key in ["precision", "recall", "density", "coverage"] {
            let name = format!("{key} ({} of each)", figures["neighbours"]);
            rows.push(row(name, &|v| number(&v[key])));
        }
        if let Some(score) = figures.get("score") {
            let whose = score["network"].as_str().unwrap_or_default();
            let name = format!("Inception-style score in the classes of {whose}");
            let both = |v: &Value| format!("{} +- {}", number(&v["score"]["mean"]), number(&v["score"]["std"]));
            rows.push(row(name, &both));
        }
        let mut header = vec!["quality against the reference"];
        header.extend(columns.iter().map(|(name, _)| name.as_str()));
        let mut words = format!("{}\n", report::table(&header, &rows));
        let from = self.samples.words();
        words += &format!("samples:   {}, {}\n", figures["samples"], shown(&from));
        words += &format!("reference: {}\n", shown(&self.reference_words));
        let network = &self.networks.features;
        words += &format!(
            "features:  {} of {}, SHA-256 {}\n",
            figures["features"]["count"],
            shown(&network.name),
            network.sha256
        );
        words
    }
}

impl Measure for Quality {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let (samples, starts, captions) = self.samples.make(subject)?;
        let picture = subject.out.join("samples.png");
        let drawn = samples.narrow(0, 0, samples.size()[0].min(SHOWN));
        let captions: Vec<String> = captions.into_iter().take(SHOWN as usize).collect();
        report::sheet(&drawn, &captions, report::columns(drawn.size()[0]), &picture)?;
        let figures = self.all(&samples, starts.as_ref())?;
        let words = format!("{}{}\n\n", self.words(&figures), shown_path(&picture));
        Ok((Figures::from_iter([("quality".to_owned(), json!(figures))]), words))
    }
}

/// Up to `n` real images that are not the reference; none, and why, where there are none to be had.
fn real(reference: Reference, n: i64, subject: &Subject) -> Result<Option<(&'static str, Tensor)>> {
    let (key, images) = match reference {
        Reference::Test => ("training_images", subject.train()),
        Reference::Train => ("test_images", subject.test()),
    };
    let why = match images {
        _ if !subject.has_test_apart() => "all images of the set are the reference".to_owned(),
        Ok(images) if images.len() >= eval::LEAST_IMAGES => {
            let order = subject.stream("real").permutation(images.len(), Device::Cpu);
            let drawn = images.select(&order.narrow(0, 0, n.min(images.len())));
            return Ok(Some((key, drawn.pixels)));
        }
        Ok(images) => format!("{} are too few", images.len()),
        Err(error) => error.to_string(),
    };
    let words = key.replace('_', " ");
    log::info!("no {words} stand beside the samples: {why}");
    Ok(None)
}
