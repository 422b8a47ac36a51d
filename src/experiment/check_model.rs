//! Checks of what only networks can do, where the model is of another kind.

use super::{Experiment, TrainPrecision};
use crate::config::Checker;
use crate::error::Result;
use crate::models::{Layout, Precision};
use crate::sampling::NetworkMode;

impl Experiment {
    pub(super) fn check_model(&self, c: &Checker) -> Result<()> {
        if self.model.has_forms() {
            return Ok(());
        }
        let mode = self.sampler.as_ref().map(|sampler| sampler.network_mode);
        let of_networks = [
            ("compute.precision", self.compute.precision == Precision::Bf16),
            ("compute.layout", self.compute.layout == Layout::ChannelsLast),
            ("train.precision", self.train.precision == TrainPrecision::Bf16),
            (
                "sampler.network_mode",
                mode.is_some_and(|mode| mode != NetworkMode::Evaluation),
            ),
        ];
        for (key, _) in of_networks.iter().filter(|asked| asked.1) {
            c.conflict(
                key,
                "is of networks, and this model computes in one way alone",
                "leave this key out",
            )?;
        }
        Ok(())
    }
}
