//! Accuracy, likelihood and calibration on labelled test images.

use serde_json::json;
use tch::no_grad_guard;

use super::part::{Found, Measure};
use super::subject::{Figures, Subject};
use crate::data::{self, Images};
use crate::error::{Result, shown_path};
use crate::eval::Classifications;
use crate::report;

/// Images that are classified together.
const BATCH: i64 = 500;

/// Images to classify, and the noise that is added to them.
pub struct Classified {
    images: Images,
    names: Vec<String>,
    noise: f64,
}

impl Classified {
    /// The subject's test images; `noise` is the standard deviation of what is added to each, in
    /// images of [-1, 1].
    ///
    /// # Errors
    /// When the run has no classes, or the images have no labels or other ones.
    pub fn new(noise: f64, subject: &Subject) -> Result<Self> {
        let classes = subject.classes("--parts classification")?;
        Ok(Self {
            images: subject.labelled(&classes)?,
            names: classes.names,
            noise,
        })
    }

    fn title(&self, subject: &Subject) -> String {
        let noise = match self.noise {
            0.0 => String::new(),
            std => format!(", noise of {std} added"),
        };
        format!("{}, {} {}{noise}", subject.set, self.images.len(), subject.part_word())
    }
}

impl Measure for Classified {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let outputs = subject.loaded.energy.outputs();
        let labels = self
            .images
            .labels
            .as_ref()
            .expect("only labelled images are classified");
        let mut rng = subject.stream("noise");
        let mut all = Classifications::new(self.names.len());
        for from in (0..self.images.len()).step_by(BATCH as usize) {
            let _guard = no_grad_guard();
            let x = data::add_noise(&self.images.chunk(from, BATCH), self.noise, &mut rng);
            all.add(&outputs.raw(&x), &labels.narrow(0, from, x.size()[0]))?;
        }
        let found = all.finish()?;
        let title = self.title(subject);
        let rows = [
            ("accuracy", found.accuracy),
            ("NLL (nats)", found.nll),
            ("Brier score", found.brier),
            ("ECE, 15 bins of equal width", found.ece),
            ("ECE, 15 bins of equal mass", found.ece_mass),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), format!("{value:.4}")]);
        let mut words = format!(
            "{}\n",
            report::table(&[&format!("classification of {title}"), ""], &rows)
        );
        let pictures = [subject.out.join("reliability.png"), subject.out.join("confusion.png")];
        report::reliability(&found.bins, found.ece, &title, &pictures[0])?;
        report::confusion(&found.confusion, &self.names, &title, &pictures[1])?;
        pictures.iter().for_each(|p| words += &format!("{}\n", shown_path(p)));
        words.push('\n');
        let mut figures = Figures::new();
        for (name, value) in [
            ("accuracy", found.accuracy),
            ("nll", found.nll),
            ("brier", found.brier),
            ("ece", found.ece),
            ("ece_mass", found.ece_mass),
        ] {
            figures.insert(name.into(), json!(value));
        }
        let mut details = json!(found);
        details["noise"] = json!(self.noise);
        details["classes"] = json!(self.names);
        figures.insert("classification".into(), details);
        Ok((figures, words))
    }
}
