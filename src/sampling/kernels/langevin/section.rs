//! What is wrong with a section of Langevin dynamics, and what it builds.

use super::{ChainSchedule, GradClip, Langevin, LangevinConfig, StepPart};
use crate::config::Checker;
use crate::error::Result;
use crate::sampling::kernel::Kernel;
use crate::sampling::kernels::KernelSpec;

impl KernelSpec for LangevinConfig {
    fn check(&self, c: &Checker) -> Result<()> {
        self.check_sizes(c)?;
        self.check_noise(c)?;
        match self.grad_clip {
            Some(GradClip::Value(v)) => c.positive("grad_clip.value", v)?,
            Some(GradClip::Norm(v)) => c.positive("grad_clip.norm", v)?,
            None => {}
        }
        self.clamp.map_or(Ok(()), |ends| c.interval("clamp", ends))?;
        check_schedule(c, "step_schedule", self.step_schedule)?;
        check_schedule(c, "noise_schedule", self.noise_schedule)?;
        self.check_order(c)
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Langevin::new(self, n_steps))
    }

    fn example() -> Self {
        Self::plain(0.02)
    }
}

impl LangevinConfig {
    fn check_sizes(&self, c: &Checker) -> Result<()> {
        let Some(inner) = self.inner else {
            return c.positive("step_size", self.step_size);
        };
        c.non_negative("step_size", self.step_size)?;
        c.at_least_one("inner.steps", inner.steps as u64)?;
        c.positive("inner.step_size", inner.step_size)
    }

    fn check_noise(&self, c: &Checker) -> Result<()> {
        self.noise_scale.map_or(Ok(()), |v| c.non_negative("noise_scale", v))?;
        self.temperature.map_or(Ok(()), |v| c.positive("temperature", v))?;
        if self.noise_scale.is_some() && self.temperature.is_some() {
            return c.conflict(
                "temperature",
                "given together with noise_scale, which implies it (noise_scale^2 / (2 step_size))",
                "remove one of the two",
            );
        }
        Ok(())
    }

    fn check_order(&self, c: &Checker) -> Result<()> {
        let Some(order) = &self.order else {
            return Ok(());
        };
        let count = |part| order.iter().filter(|p| **p == part).count();
        if count(StepPart::Gradient) != 1 || count(StepPart::Noise) != 1 {
            return c.conflict(
                "order",
                "a step has one gradient and one noise",
                "write for instance [noise, gradient, clamp]",
            );
        }
        if (count(StepPart::Clamp) > 0) != self.clamp.is_some() {
            return c.conflict(
                "order",
                "`clamp` stands in the order if and only if `clamp` beside it gives the interval",
                "add or remove one of the two",
            );
        }
        Ok(())
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
