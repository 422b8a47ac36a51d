//! Accuracy under attack over a list of radii, for a classifier with or without a defence.

use std::str::FromStr;

use serde_json::json;

use super::part::{Found, Measure};
use super::subject::{Figures, Subject};
use crate::data::Images;
use crate::error::{Error, Result, shown, shown_path};
use crate::eval::{Attack, Defence, Norm, RobustCurve, Through};
use crate::report;
use crate::sampling::SamplerConfig;

/// Copies of images that go through the network together.
const BATCH: i64 = 250;

/// The radii of each norm where none are given.
const RADII: [&[&str]; 2] = [&["2/255", "4/255", "8/255", "16/255"], &["0.25", "0.5", "1", "2"]];

/// A radius as it was written: a fraction such as 8/255, or a number.
#[derive(Debug, Clone)]
pub struct Radius {
    text: String,
    value: f64,
}

impl FromStr for Radius {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |t: &str| {
            t.trim()
                .parse::<f64>()
                .map_err(|_| "expected a number or a fraction such as 8/255")
        };
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        if value > 0.0 && value.is_finite() {
            return Ok(Self {
                text: text.trim().to_owned(),
                value,
            });
        }
        Err("expected a radius above 0".into())
    }
}

/// What every image goes through before it is classified.
#[derive(Debug, Clone, Copy)]
pub struct Guarded {
    /// Langevin steps on E(x) (JEM-k).
    pub refine: usize,
    /// Copies of an image that make these steps; their logits are averaged.
    pub chains: i64,
    /// Standard deviation of the noise that is added first, in images of [-1, 1].
    pub noise: f64,
}

/// An attack that is ready.
pub struct Robustness {
    images: Images,
    curves: Vec<(Norm, Vec<Radius>)>,
    settings: Attack,
    refine: usize,
    chains: i64,
    noise: f64,
}

/// Refuses to attack through steps whose gradient cannot be followed.
fn ensure_graph(sampler: &SamplerConfig) -> Result<()> {
    if sampler.kernel.build(sampler.n_steps).with_graph().is_some() {
        return Ok(());
    }
    Err(Error::input(
        "--through defence",
        format!(
            "the gradient of the steps of the run's sampler (sampler.kernel.{}) cannot be followed",
            sampler.kernel.word()
        ),
        "attack --through classifier, or leave out --refine",
    ))
}

/// Refuses steps in which images see each other: what is done to one would move the others.
fn ensure_apart(sampler: &SamplerConfig) -> Result<()> {
    if !sampler.kernel.build(sampler.n_steps).facts().coupled {
        return Ok(());
    }
    Err(Error::input(
        "--refine",
        format!(
            "all images of a batch move together by sampler.kernel.{}",
            sampler.kernel.word()
        ),
        "leave it out, or give another kernel by --sampler",
    ))
}

impl Robustness {
    /// The subject's test images under attack: `settings` says how, but for norm and radius, which
    /// `curves` has.
    ///
    /// # Errors
    /// When the run has no classes, the images have no labels or other ones, or the defence cannot
    /// be followed.
    pub fn new(curves: Vec<(Norm, Vec<Radius>)>, settings: Attack, guard: &Guarded, subject: &Subject) -> Result<Self> {
        let classes = subject.classes("--parts robustness")?;
        if guard.refine > 0 {
            ensure_apart(subject.loaded.trained.experiment.sampler()?)?;
        }
        if guard.refine > 0 && settings.through == Through::Defence {
            ensure_graph(subject.loaded.trained.experiment.sampler()?)?;
        }
        Ok(Self {
            images: subject.labelled(&classes)?,
            curves,
            settings,
            refine: guard.refine,
            chains: guard.chains,
            noise: guard.noise,
        })
    }

    fn attack(&self, subject: &Subject) -> Result<Vec<RobustCurve>> {
        let sampler = subject.loaded.trained.experiment.sampler.as_ref();
        let kernel = sampler.map(|s| s.kernel.build(s.n_steps.max(self.refine)));
        let defence = Defence::new(
            subject.loaded.energy.outputs(),
            kernel,
            self.refine,
            self.chains,
            self.noise,
        );
        let batch = (BATCH / self.chains).max(1);
        let batches = (self.images.len() as u64).div_ceil(batch as u64);
        let radii: usize = self.curves.iter().map(|(_, radii)| radii.len()).sum();
        let listener = subject.listener;
        listener.begins(batches * radii as u64);
        listener.says(&format!("attacking {} images ...", self.images.len()));
        let mut done = 0;
        let curve = |(norm, radii): &(Norm, Vec<Radius>)| {
            let settings = Attack {
                norm: *norm,
                ..self.settings.clone()
            };
            let values: Vec<f64> = radii.iter().map(|r| r.value).collect();
            let rng = subject.stream(&format!("attack {norm:?}"));
            RobustCurve::new(&settings, &values, &defence, &self.images, batch, &rng, &mut || {
                done += 1;
                listener.reaches(done);
            })
        };
        let curves = self.curves.iter().map(curve).collect();
        listener.ends();
        curves
    }

    fn words(&self, curves: &[RobustCurve], subject: &Subject) -> String {
        let a = &self.settings;
        let mut words = format!(
            "accuracy under attack on {}, {} {}: PGD, {} steps, {} restarts, the worst of all for each image\n",
            shown(&subject.set),
            self.images.len(),
            subject.part_word(),
            a.steps,
            a.restarts
        );
        words += &format!("{}\n", self.defence_words());
        words += "radii in units of images in [0, 1], twice that in [-1, 1]\n\n";
        for ((norm, radii), curve) in self.curves.iter().zip(curves) {
            let none = "0 (no attack)".to_owned();
            let labels = std::iter::once(&none).chain(radii.iter().map(|r| &r.text));
            let rows = labels.zip(&curve.points);
            let rows: Vec<_> = rows
                .map(|(l, p)| vec![l.clone(), format!("{:.4}", p.accuracy)])
                .collect();
            words += &format!("{}\n", report::table(&[&format!("{norm:?} radius"), "accuracy"], &rows));
        }
        words
    }

    fn defence_words(&self) -> String {
        if self.refine == 0 && self.noise == 0.0 {
            return "no defence: the classifier alone".into();
        }
        let through = match self.settings.through {
            Through::Defence => "through the whole defence",
            Through::Classifier => "through the classifier alone",
        };
        format!(
            "defence: noise of {}, then {} Langevin steps of the run's sampler on E(x), {} chains an image; attacked {through}, {} draws; judged by draws of its own",
            self.noise, self.refine, self.chains, self.settings.draws
        )
    }
}

impl Measure for Robustness {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let curves = self.attack(subject)?;
        let mut words = self.words(&curves, subject);
        for curve in &curves {
            let (name, path) = match curve.norm {
                Norm::Linf => ("Linf", subject.out.join("robustness_linf.png")),
                Norm::L2 => ("L2", subject.out.join("robustness_l2.png")),
            };
            let points = curve.points.iter().map(|p| (p.epsilon, p.accuracy)).collect();
            let x = format!("{name} radius, in units of images in [0, 1]");
            report::lines(&[(subject.set.clone(), points)], &x, "accuracy under attack", &path)?;
            words += &format!("{}\n", shown_path(&path));
        }
        words.push('\n');
        let figures = json!({
            "curves": curves,
            "steps": self.settings.steps,
            "step_size": self.settings.step_size,
            "restarts": self.settings.restarts,
            "through": self.settings.through,
            "draws": self.settings.draws,
            "refine": self.refine,
            "chains": self.chains,
            "noise": self.noise,
            "units": "images in [0, 1]",
        });
        Ok((Figures::from_iter([("robustness".to_owned(), figures)]), words))
    }
}

/// The norms and their radii, rising: those given, or both lists where none is.
pub fn radii(linf: &[Radius], l2: &[Radius]) -> Vec<(Norm, Vec<Radius>)> {
    let usual = |texts: &[&str]| texts.iter().map(|t| t.parse().expect("a valid radius")).collect();
    let lists: [Vec<Radius>; 2] = match linf.is_empty() && l2.is_empty() {
        true => RADII.map(usual),
        false => [linf.to_vec(), l2.to_vec()],
    };
    let norms = [Norm::Linf, Norm::L2].into_iter().zip(lists);
    let sorted = |(norm, mut radii): (Norm, Vec<Radius>)| {
        radii.sort_by(|a, b| a.value.total_cmp(&b.value));
        radii.dedup_by(|a, b| a.value == b.value);
        (norm, radii)
    };
    norms.filter(|(_, radii)| !radii.is_empty()).map(sorted).collect()
}
