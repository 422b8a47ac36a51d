//! Checks of levels of noise: who asks for them, and whether the model takes them.

use super::Experiment;
use crate::config::Checker;
use crate::error::Result;

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
}
