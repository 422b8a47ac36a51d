//! Checks of how chains move, where they start and where they are kept.

use super::Experiment;
use crate::buffer::Storage;
use crate::config::Checker;
use crate::error::Result;
use crate::sampling::{ChainSchedule, GradClip, InitialDistribution, NetworkMode, StepPart};

impl Experiment {
    pub(super) fn check_sampler(&self, c: &Checker) -> Result<()> {
        let s = &self.sampler;
        c.at_least_one("sampler.n_steps", s.n_steps as u64)?;
        self.check_inner(c)?;
        self.check_chain_batch(c)?;
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

    /// Parts of a batch find what the whole finds only where images do not see each other.
    fn check_chain_batch(&self, c: &Checker) -> Result<()> {
        let Some(n) = self.sampler.chain_batch else {
            return Ok(());
        };
        c.at_least_one("sampler.chain_batch", n as u64)?;
        if self.sampler.network_mode == NetworkMode::Training {
            return c.conflict(
                "sampler.chain_batch",
                "with network_mode: training a chain depends on the others that go through the network with it",
                "remove one of the two",
            );
        }
        if self.sampler.inner.is_some() {
            return c.conflict(
                "sampler.chain_batch",
                "inner steps keep the first layer's gradient of the whole batch",
                "remove sampler.inner, or sampler.chain_batch",
            );
        }
        Ok(())
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

    pub(super) fn check_order(&self, c: &Checker) -> Result<()> {
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

    pub(super) fn check_init(&self, c: &Checker) -> Result<()> {
        match self.sampler.init {
            InitialDistribution::Uniform(low, high) => c.interval("sampler.init.uniform", [low, high]),
            InitialDistribution::Gaussian { mean, std } => {
                c.finite("sampler.init.gaussian.mean", mean)?;
                c.positive("sampler.init.gaussian.std", std)
            }
            InitialDistribution::NoisyData { std } => c.non_negative("sampler.init.noisy-data.std", std),
            InitialDistribution::ClassGaussians { jitter } => c.positive("sampler.init.class-gaussians.jitter", jitter),
            InitialDistribution::Data => Ok(()),
        }
    }

    pub(super) fn check_buffer(&self, c: &Checker) -> Result<()> {
        c.share("buffer.reinit_prob", self.buffer.reinit_prob)?;
        self.check_replay(c)?;
        c.countable("buffer.size", self.buffer.size as u64)?;
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

    fn check_replay(&self, c: &Checker) -> Result<()> {
        let Some(augment) = &self.buffer.augment else {
            return Ok(());
        };
        if let Some([low, high]) = augment.resized_crop {
            c.ensure(
                0.0 < low && low <= high && high <= 1.0,
                "buffer.augment.resized_crop",
                format!("[{low}, {high}]"),
                "two shares of the area above 0, at most 1, the lower first",
            )?;
        }
        let jitter = augment.jitter;
        c.non_negative("buffer.augment.jitter.brightness", jitter.brightness)?;
        c.non_negative("buffer.augment.jitter.contrast", jitter.contrast)?;
        c.non_negative("buffer.augment.jitter.saturation", jitter.saturation)?;
        c.ensure(
            (0.0..=0.5).contains(&jitter.hue),
            "buffer.augment.jitter.hue",
            jitter.hue,
            "a part of a turn from 0 to 0.5",
        )?;
        c.share("buffer.augment.grey", augment.grey)
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
