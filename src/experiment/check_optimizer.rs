//! Checks of how parameters follow their gradient.

use super::Experiment;
use crate::config::Checker;
use crate::error::Result;
use crate::optim::{Algorithm, LrSchedule, ParamClip};

impl Experiment {
    pub(super) fn check_optimizer(&self, c: &Checker) -> Result<()> {
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
}
