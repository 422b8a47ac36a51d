//! Range checks and checks across keys of an experiment; none of them needs a tensor or a data set.

use std::path::Path;

use super::{
    Algorithm, ChainSchedule, Dataset, Experiment, GradClip, InitialDistribution, LrSchedule, Measure, OodSet, Output,
    ParamClip, StepPart, Storage, yaml,
};
use crate::error::Result;

/// More threads than any machine that this runs on has cores.
const MOST_THREADS: u32 = 1024;

/// Collects what a check needs to word its error.
pub(super) struct Checker<'a> {
    file: &'a Path,
}

impl Checker<'_> {
    pub fn ensure(&self, holds: bool, key: &str, found: impl std::fmt::Display, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(yaml::config(
            self.file,
            key,
            format!("{found} is out of range"),
            format!("give {expected}"),
        ))
    }

    fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value > 0.0 && value.is_finite(), key, value, "a number above 0")
    }

    pub fn non_negative(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value >= 0.0 && value.is_finite(), key, value, "a number of 0 or more")
    }

    fn finite(&self, key: &str, value: f64) -> Result<()> {
        self.ensure(value.is_finite(), key, value, "a finite number")
    }

    fn interval(&self, key: &str, [low, high]: [f64; 2]) -> Result<()> {
        self.ensure(
            low < high && (high - low).is_finite(),
            key,
            format!("[{low}, {high}]"),
            "two finite numbers, the lower first",
        )
    }

    fn share(&self, key: &str, value: f64) -> Result<()> {
        self.ensure((0.0..=1.0).contains(&value), key, value, "a number from 0 to 1")
    }

    fn decay(&self, key: &str, value: f64) -> Result<()> {
        self.ensure((0.0..1.0).contains(&value), key, value, "a number from 0 to below 1")
    }

    pub fn at_least_one(&self, key: &str, value: u64) -> Result<()> {
        self.ensure(value >= 1, key, value, "a whole number of 1 or more")
    }

    pub fn conflict(&self, key: &str, what: &str, remedy: &str) -> Result<()> {
        Err(yaml::config(self.file, key, what, remedy))
    }
}

impl Experiment {
    /// Checks every value's range and the keys that depend on each other.
    ///
    /// # Errors
    /// The first fault found, with `file` and the path of the key.
    pub fn check(&self, file: &Path) -> Result<()> {
        let c = Checker { file };
        self.check_run(&c)?;
        self.check_data(&c)?;
        self.check_sampler(&c)?;
        self.check_order(&c)?;
        self.check_init(&c)?;
        self.check_objective(&c)?;
        self.check_buffer(&c)?;
        self.check_optimizer(&c)?;
        self.check_train(&c)
    }

    fn check_run(&self, c: &Checker) -> Result<()> {
        let plain = !self.name.is_empty() && !self.name.starts_with('.') && !self.name.contains(['/', '\\']);
        c.ensure(plain, "name", format!("`{}`", self.name), "a plain folder name")?;
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
        }
        let smallest = self.model.input[1].min(self.model.input[2]);
        c.ensure(
            (self.data.augment.pad_crop as i64) < smallest,
            "data.augment.pad_crop",
            self.data.augment.pad_crop,
            "less than the side of an image",
        )?;
        let labelled = self.data.labelled_augment.as_ref().map_or(0, |a| a.pad_crop);
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

    fn check_sampler(&self, c: &Checker) -> Result<()> {
        let s = &self.sampler;
        c.at_least_one("sampler.n_steps", s.n_steps as u64)?;
        self.check_inner(c)?;
        s.noise_scale
            .map_or(Ok(()), |v| c.non_negative("sampler.noise_scale", v))?;
        s.temperature.map_or(Ok(()), |v| c.positive("sampler.temperature", v))?;
        if s.noise_scale.is_some() && s.temperature.is_some() {
            return c.conflict(
                "sampler.temperature",
                "given together with noise_scale, which implies it (noise_scale^2 / (2 step_size))",
                "remove one of the two",
            );
        }
        match s.grad_clip {
            Some(GradClip::Value(v)) => c.positive("sampler.grad_clip.value", v)?,
            Some(GradClip::Norm(v)) => c.positive("sampler.grad_clip.norm", v)?,
            None => {}
        }
        s.clamp.map_or(Ok(()), |ends| c.interval("sampler.clamp", ends))?;
        if self.model.reference_std.is_some() && s.noise_scale == Some(0.0) {
            return c.conflict(
                "sampler.noise_scale",
                "0 implies temperature 0, at which the Gaussian reference of the model weighs nothing",
                "give noise_scale above 0, or null with a temperature",
            );
        }
        check_schedule(c, "sampler.step_schedule", s.step_schedule)?;
        check_schedule(c, "sampler.noise_schedule", s.noise_schedule)
    }

    fn check_inner(&self, c: &Checker) -> Result<()> {
        let Some(inner) = self.sampler.inner else {
            return c.positive("sampler.step_size", self.sampler.step_size);
        };
        c.non_negative("sampler.step_size", self.sampler.step_size)?;
        c.at_least_one("sampler.inner.steps", inner.steps as u64)?;
        c.positive("sampler.inner.step_size", inner.step_size)?;
        if self.model.reference_std.is_none() {
            return Ok(());
        }
        c.conflict(
            "sampler.inner",
            "inner steps see the image through the network's first layer, and the Gaussian reference of the model is no \
             function of that",
            "remove sampler.inner, or model.reference_std",
        )
    }

    fn check_order(&self, c: &Checker) -> Result<()> {
        let Some(order) = &self.sampler.order else {
            return Ok(());
        };
        let count = |part| order.iter().filter(|p| **p == part).count();
        if count(StepPart::Gradient) != 1 || count(StepPart::Noise) != 1 {
            return c.conflict(
                "sampler.order",
                "a step has one gradient and one noise",
                "write for instance [noise, gradient, clamp]",
            );
        }
        if (count(StepPart::Clamp) > 0) != self.sampler.clamp.is_some() {
            return c.conflict(
                "sampler.order",
                "`clamp` stands in the order if and only if sampler.clamp gives the interval",
                "add or remove one of the two",
            );
        }
        Ok(())
    }

    fn check_init(&self, c: &Checker) -> Result<()> {
        match self.sampler.init {
            InitialDistribution::Uniform(low, high) => c.interval("sampler.init.uniform", [low, high]),
            InitialDistribution::Gaussian { mean, std } => {
                c.finite("sampler.init.gaussian.mean", mean)?;
                c.positive("sampler.init.gaussian.std", std)
            }
            InitialDistribution::NoisyData { std } => c.non_negative("sampler.init.noisy-data.std", std),
            InitialDistribution::Data => Ok(()),
        }
    }

    fn check_buffer(&self, c: &Checker) -> Result<()> {
        c.share("buffer.reinit_prob", self.buffer.reinit_prob)?;
        if self.objective.uses_buffer() {
            c.ensure(
                self.buffer.size >= self.train.batch_size,
                "buffer.size",
                self.buffer.size,
                "at least train.batch_size, since a draw holds each chain once",
            )?;
            self.check_storage(c)?;
        }
        Ok(())
    }

    /// 256 levels hold [-1, 1] only: a chain that leaves it would be moved by being stored.
    fn check_storage(&self, c: &Checker) -> Result<()> {
        let inside = self.sampler.clamp.is_some_and(|[low, high]| low >= -1.0 && high <= 1.0);
        let ends_clamped = self
            .sampler
            .order
            .as_ref()
            .is_none_or(|o| o.last() == Some(&StepPart::Clamp));
        if self.buffer.storage == Storage::F32 || (inside && ends_clamped) {
            return Ok(());
        }
        c.conflict(
            "buffer.storage",
            "u8 holds [-1, 1] only, and chains may end outside of it",
            "set sampler.clamp: [-1, 1] with `clamp` as the last part of a step, or store f32",
        )
    }

    fn check_optimizer(&self, c: &Checker) -> Result<()> {
        let o = &self.optimizer;
        c.positive("optimizer.lr", o.lr)?;
        c.non_negative("optimizer.weight_decay", o.weight_decay)?;
        match o.algorithm {
            Algorithm::Adam { betas, eps } | Algorithm::AdamW { betas, eps } => {
                betas
                    .iter()
                    .try_for_each(|b| c.decay("optimizer.algorithm.betas", *b))?;
                c.positive("optimizer.algorithm.eps", eps)?;
            }
            Algorithm::Sgd { momentum, nesterov } => {
                c.decay("optimizer.algorithm.sgd.momentum", momentum)?;
                c.ensure(
                    !nesterov || momentum > 0.0,
                    "optimizer.algorithm.sgd.nesterov",
                    true,
                    "a momentum above 0 with it",
                )?;
            }
        }
        match &o.schedule {
            LrSchedule::Constant => {}
            LrSchedule::Step { milestones, gamma } => {
                c.positive("optimizer.schedule.step.gamma", *gamma)?;
                c.ensure(
                    milestones.is_sorted(),
                    "optimizer.schedule.step.milestones",
                    format!("{milestones:?}"),
                    "steps in rising order",
                )?;
            }
            LrSchedule::Exponential { gamma, every } => {
                c.positive("optimizer.schedule.exponential.gamma", *gamma)?;
                c.at_least_one("optimizer.schedule.exponential.every", *every)?;
            }
            LrSchedule::Cosine { end } => c.share("optimizer.schedule.cosine.end", *end)?,
        }
        self.check_clip(c)?;
        o.sam.map_or(Ok(()), |s| c.positive("optimizer.sam.rho", s.rho))?;
        o.ema.map_or(Ok(()), |v| c.decay("optimizer.ema", v))
    }

    fn check_clip(&self, c: &Checker) -> Result<()> {
        match self.optimizer.grad_clip {
            None => Ok(()),
            Some(ParamClip::Norm(v)) => c.positive("optimizer.grad_clip.norm", v),
            Some(ParamClip::Value(v)) => c.positive("optimizer.grad_clip.value", v),
            Some(ParamClip::Moment { k, floor }) => {
                c.positive("optimizer.grad_clip.moment.k", k)?;
                c.positive("optimizer.grad_clip.moment.floor", floor)?;
                match self.optimizer.algorithm {
                    Algorithm::Sgd { .. } => c.conflict(
                        "optimizer.grad_clip.moment",
                        "sgd keeps no second moment",
                        "use adam, or clip by norm or value",
                    ),
                    _ => Ok(()),
                }
            }
        }
    }

    fn check_train(&self, c: &Checker) -> Result<()> {
        let (t, g) = (&self.train, &self.guard);
        c.at_least_one("train.steps", t.steps)?;
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
        c.ensure(
            self.evaluate.limit != Some(0),
            "evaluate.limit",
            0,
            "a whole number of 1 or more, or null",
        )?;
        let [_, h, w] = self.model.input;
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

    /// The measure by which the best checkpoint is kept must be one that is taken.
    fn check_best(&self, c: &Checker) -> Result<()> {
        let (missing, remedy) = match self.evaluate.best {
            Some(Measure::Accuracy) if self.model.output != Output::Logits => (
                "is of classifiers, and the network gives one energy an image",
                "choose frechet or auroc",
            ),
            Some(Measure::Frechet) if !self.objective.uses_chains() => (
                "is of synthesised images, and this objective runs no chains",
                "choose accuracy or auroc",
            ),
            _ => return Ok(()),
        };
        c.conflict("evaluate.best", missing, remedy)
    }
}

fn check_schedule(c: &Checker, key: &str, schedule: ChainSchedule) -> Result<()> {
    match schedule {
        ChainSchedule::Constant => Ok(()),
        ChainSchedule::Linear { end } => c.non_negative(key, end),
        ChainSchedule::Geometric { end } => c.positive(key, end),
        ChainSchedule::Polynomial { end, power } => {
            c.non_negative(key, end)?;
            c.positive(key, power)
        }
    }
}
