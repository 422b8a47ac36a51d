//! Range checks and checks across keys of an experiment; none of them needs a tensor or a data set. Those of the sampler,
//! the objective and the optimiser have files of their own.

use std::path::Path;

use super::Experiment;
use crate::config::Checker;
use crate::data::Dataset;
use crate::error::{Result, shown};
use crate::eval::{Measure, OodSet};

/// More threads than any machine that this runs on has cores.
const MOST_THREADS: u32 = 1024;

impl Experiment {
    /// Checks every value's range and the keys that depend on each other.
    ///
    /// # Errors
    /// The first fault found, with `file` and the path of the key.
    pub fn check(&self, file: &Path) -> Result<()> {
        let c = Checker::of(file);
        self.check_run(&c)?;
        self.check_data(&c)?;
        self.check_space(&c)?;
        self.check_model(&c)?;
        self.check_sampler(&c)?;
        self.check_objective(&c)?;
        self.check_buffer(&c)?;
        self.check_optimizer(&c)?;
        self.check_train(&c)
    }

    fn check_run(&self, c: &Checker) -> Result<()> {
        let plain = !self.name.is_empty() && !self.name.starts_with('.') && !self.name.contains(['/', '\\']);
        // A name that is shown as it is holds nothing that steers a terminal.
        let plain = plain && shown(&self.name) == self.name.as_str();
        c.ensure(
            plain,
            "name",
            format!("`{}`", self.name),
            "a plain folder name, without control characters",
        )?;
        let device = self.device.as_str();
        let known = ["auto", "cpu", "cuda"].contains(&device)
            || device.strip_prefix("cuda:").is_some_and(|n| n.parse::<usize>().is_ok());
        c.ensure(known, "device", format!("`{device}`"), "auto, cpu, cuda or cuda:N")?;
        c.ensure(
            self.threads.is_none_or(|n| (1..=MOST_THREADS).contains(&n)),
            "threads",
            self.threads.unwrap_or_default(),
            "a whole number from 1 to 1024, or null",
        )
    }

    fn check_data(&self, c: &Checker) -> Result<()> {
        c.ensure(
            self.data.limit != Some(0),
            "data.limit",
            0,
            "a whole number of 1 or more, or null",
        )?;
        if let Dataset::Strokes(s) = &self.data.dataset {
            c.at_least_one("data.dataset.strokes.count", s.count as u64)?;
            c.ensure(
                s.size >= 4,
                "data.dataset.strokes.size",
                s.size,
                "a whole number of 4 or more",
            )?;
            c.countable("data.dataset.strokes.size", s.size as u64)?;
        }
        c.countable("data.validation", self.data.validation as u64)?;
        c.countable("data.limit", self.data.limit.unwrap_or(0) as u64)?;
        c.countable("data.labels_per_class", self.data.labels_per_class.unwrap_or(0) as u64)?;
        c.countable("data.augment.pad_crop", self.data.augment.pad_crop as u64)?;
        c.non_negative("data.noise", self.data.noise)?;
        c.non_negative("data.labelled_noise", self.data.labelled_noise.unwrap_or(0.0))?;
        let smallest = self.model.space().image().map_or(i64::MAX, |[_, h, w]| h.min(w));
        c.ensure(
            (self.data.augment.pad_crop as i64) < smallest,
            "data.augment.pad_crop",
            self.data.augment.pad_crop,
            "less than the side of an image",
        )?;
        let labelled = self.data.labelled_augment.as_ref().map_or(0, |a| a.pad_crop);
        c.countable("data.labelled_augment.pad_crop", labelled as u64)?;
        c.ensure(
            (labelled as i64) < smallest,
            "data.labelled_augment.pad_crop",
            labelled,
            "less than the side of an image",
        )?;
        c.ensure(
            self.data.labels_per_class != Some(0),
            "data.labels_per_class",
            0,
            "a whole number of 1 or more, or null",
        )
    }

    fn check_train(&self, c: &Checker) -> Result<()> {
        let (t, g) = (&self.train, &self.guard);
        self.check_length(c)?;
        c.at_least_one("train.batch_size", t.batch_size as u64)?;
        c.at_least_one("train.labelled_batch_size", t.labelled_batch_size.unwrap_or(1) as u64)?;
        c.at_least_one("train.log_every", t.log_every)?;
        c.at_least_one("train.checkpoint_every", t.checkpoint_every)?;
        c.at_least_one("train.keep", t.keep as u64)?;
        c.at_least_one("guard.every", g.every)?;
        c.positive("guard.max_abs_energy", g.max_abs_energy)?;
        c.ensure(
            g.grad_norm_factor > 1.0,
            "guard.grad_norm_factor",
            g.grad_norm_factor,
            "a number above 1",
        )?;
        c.at_least_one("guard.grad_norm_patience", g.grad_norm_patience.into())?;
        c.ensure(
            g.lr_factor > 0.0 && g.lr_factor <= 1.0,
            "guard.lr_factor",
            g.lr_factor,
            "a number above 0, at most 1",
        )?;
        c.at_least_one("report.images", self.report.images as u64)?;
        c.countable("report.sample_steps", self.report.sample_steps.unwrap_or(0) as u64)?;
        c.countable("evaluate.images", self.evaluate.images as u64)?;
        c.countable("evaluate.limit", self.evaluate.limit.unwrap_or(0) as u64)?;
        c.ensure(
            self.evaluate.limit != Some(0),
            "evaluate.limit",
            0,
            "a whole number of 1 or more, or null",
        )?;
        let [_, h, w] = self.model.space().image().unwrap_or([1, 1, 1]);
        c.ensure(
            h == w || !self.evaluate.ood.contains(&OodSet::Rotated),
            "evaluate.ood",
            format!("`rotated`, of a model for {h} x {w} pixels,"),
            "it to square images only: a quarter turn changes the shape of others",
        )?;
        c.ensure(
            self.evaluate.images >= 2,
            "evaluate.images",
            self.evaluate.images,
            "a whole number of 2 or more",
        )?;
        self.check_best(c)?;
        c.ensure(
            self.evaluate.every == 0 || self.data.validation > 0,
            "evaluate.every",
            self.evaluate.every,
            "data.validation above 0 with it: training must not be steered by test images",
        )
    }

    /// Exactly one of two keys says how long the run is.
    fn check_length(&self, c: &Checker) -> Result<()> {
        match (self.train.steps, self.train.minutes) {
            (0, None) => c.conflict(
                "train.steps",
                "no number of steps is given, and 0 is out of range",
                "give train.steps, or train.minutes in its place",
            ),
            (0, Some(minutes)) => c.positive("train.minutes", minutes),
            (_, None) => Ok(()),
            (steps, Some(minutes)) => c.conflict(
                "train.minutes",
                &format!("{minutes} minutes and {steps} steps are given, and either says how long the run is"),
                "take one of the two out, as by --set train.steps=null or --set train.minutes=null",
            ),
        }
    }

    /// The measure by which the best checkpoint is kept must be one that is taken.
    fn check_best(&self, c: &Checker) -> Result<()> {
        let points = self.space().image().is_none();
        if points && self.evaluate.every > 0 && !self.synthesises() {
            return c.conflict(
                "evaluate.every",
                "the monitor looks at chains on points, and nothing says how chains move",
                "give a sampler, or leave this key out",
            );
        }
        let (missing, remedy) = match self.evaluate.best {
            Some(measure) if points && measure != Measure::EnergyDistance => (
                "is of images, and the states of this model are points",
                "choose energy-distance, or leave this key out",
            ),
            Some(Measure::EnergyDistance) if !points => (
                "is of points, and the states of this model are images",
                "choose frechet, accuracy or auroc",
            ),
            Some(Measure::Accuracy) if !self.model.has_classes() => (
                "is of classifiers, and the model gives one energy an image",
                "choose frechet or auroc",
            ),
            Some(Measure::Frechet) if !self.synthesises() => (
                "is of synthesised images, and this objective runs no chains",
                "choose accuracy or auroc",
            ),
            _ => return Ok(()),
        };
        c.conflict("evaluate.best", missing, remedy)
    }
}
