//! Checks of levels of noise: who asks for them, and whether the model takes them.

use super::Experiment;
use crate::config::Checker;
use crate::error::Result;
use crate::sampling::KernelConfig;

impl Experiment {
    /// The levels that are asked for at `key` must be among those of the model.
    pub(super) fn check_levels(&self, c: &Checker, key: &str, asked: Option<[f64; 2]>) -> Result<()> {
        let Some([low, high]) = asked else {
            return Ok(());
        };
        let Some(levels) = self.model.as_network().and_then(|network| network.levels) else {
            return c.conflict(
                key,
                "is for energies at levels of noise, and the model takes none",
                "give the model levels, such as levels: {low: 0.02, high: 4, form: {input: {data_std: 0.6}}}, or choose another",
            );
        };
        // Levels that are computed from others may differ in the last digit.
        let [least, most] = levels.interval();
        if least <= low * (1.0 + 1e-9) && high <= most * (1.0 + 1e-9) {
            return Ok(());
        }
        c.conflict(
            key,
            &format!("goes from level {low} to {high}, and the model takes those from {least} to {most}"),
            "keep to the levels of the model, or widen them (model.levels)",
        )
    }

    /// The term `recovery` and the kernel of that name go down the same levels.
    pub(super) fn check_recovery(&self, c: &Checker) -> Result<()> {
        let term = self.objective.recovery.as_ref();
        let others = self.objective.asks_by_term();
        let other = others.into_iter().find(|(key, asks)| key != "recovery" && asks.chains);
        if let (Some(_), Some((other, _))) = (term, other) {
            let what = format!("has chains in units of the noise between levels, and {other} asks for states");
            return c.conflict("objective.recovery", &what, "leave one of the two out");
        }
        let kernel = match self.sampler.as_ref().map(|sampler| &sampler.kernel) {
            Some(KernelConfig::Recovery(kernel)) => Some(kernel),
            _ => None,
        };
        match (term, kernel) {
            (None, Some(_)) if self.objective.asks().chains => c.conflict(
                "sampler.kernel.recovery",
                "moves chains of training for the term recovery alone",
                "name that term, or choose another kernel",
            ),
            (Some(_), None) => c.conflict(
                "objective.recovery",
                "needs the kernel recovery, which starts chains at noised states",
                "set sampler.kernel: {recovery: {kernel: {langevin: {step_size: 0.05}}, levels: ...}} with the levels of the term",
            ),
            (Some(term), Some(kernel)) if term.levels != kernel.levels => c.conflict(
                "sampler.kernel.recovery.levels",
                &format!("are {:?}, and those of objective.recovery {:?}", kernel.levels, term.levels),
                "give both the same",
            ),
            _ => Ok(()),
        }
    }
}
