//! Finds the step size of a kernel that rejects, on the device, while chains run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::chain::Watch;
use super::kernel::{ChainState, Kernel, StepInfo};
use crate::config::Checker;
use crate::error::Result;
use crate::files::{self, Named};

/// The first steps of chains in which the step size is found by which proposals are accepted as
/// often as wanted.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpConfig {
    /// Steps of chains in which it is sought; in training they are counted over the whole run.
    pub steps: usize,
    /// The wanted acceptance, between 0 and 1; each kernel's page says which is best.
    pub accept: f64,
}

impl WarmUpConfig {
    /// Checks every number; `c` stands at the section.
    pub(crate) fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("steps", self.steps as u64)?;
        c.ensure(
            self.accept > 0.0 && self.accept < 1.0,
            "accept",
            self.accept,
            "a number between 0 and 1",
        )
    }
}

/// How strongly early steps are held back (Hoffman & Gelman 2014).
const T0: f64 = 10.0;
const GAMMA: f64 = 0.05;
const KAPPA: f64 = 0.75;

/// Dual averaging towards a mean acceptance (Nesterov 2009; Hoffman & Gelman 2014), for all chains
/// together. The host reads nothing; once the steps are made, the number stays as it is.
#[derive(Debug)]
pub struct WarmUp {
    config: WarmUpConfig,
    /// Where log step sizes are drawn to.
    centre: f64,
    made: usize,
    /// The running shortfall of the acceptance, the running mean of the log step size, and the step
    /// size in use, `[]` each, f32.
    shortfall: Tensor,
    log_mean: Tensor,
    step_size: Tensor,
}

impl WarmUp {
    /// A warm-up that begins with the kernel's own step size.
    ///
    /// # Panics
    /// For a kernel that has none to be found.
    pub fn new(config: WarmUpConfig, kernel: &dyn Kernel, device: Device) -> Self {
        let own = kernel
            .step_size()
            .expect("checked to have a step size that can be found");
        let number = |value: f64| Tensor::full([0i64; 0], value, (Kind::Float, device));
        Self {
            config,
            centre: (10.0 * own).ln(),
            made: 0,
            shortfall: number(0.0),
            log_mean: number(0.0),
            step_size: number(own),
        }
    }

    /// Whether all its steps are made.
    pub fn is_done(&self) -> bool {
        self.made >= self.config.steps
    }

    /// The step size in use, `[]`, on the device.
    pub fn step_size(&self) -> &Tensor {
        &self.step_size
    }

    /// What a checkpoint needs, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let made = Tensor::from_slice(&[self.made as i64]);
        let named = [
            ("shortfall", self.shortfall.shallow_clone()),
            ("log_mean", self.log_mean.shallow_clone()),
            ("step_size", self.step_size.shallow_clone()),
            ("made", made),
        ];
        named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
    }

    /// Goes on from a saved state; `place` names it in errors.
    ///
    /// # Errors
    /// When names, shapes or kinds differ, or a number is not finite.
    pub fn load_state(&mut self, named: &Named, place: &str) -> Result<()> {
        files::check_same(&self.state(), named, place)?;
        files::ensure_finite(named, &format!("{place}, the warm-up"))?;
        self.shortfall.copy_(&named["shortfall"]);
        self.log_mean.copy_(&named["log_mean"]);
        self.step_size.copy_(&named["step_size"]);
        self.made = named["made"].int64_value(&[0]) as usize;
        Ok(())
    }

    fn update(&mut self, accept: &Tensor) {
        let _guard = no_grad_guard();
        self.made += 1;
        let made = self.made as f64;
        let weight = 1.0 / (made + T0);
        let short = accept.mean(Kind::Float).neg() + self.config.accept;
        self.shortfall = &self.shortfall * (1.0 - weight) + short * weight;
        let log = &self.shortfall * (-made.sqrt() / GAMMA) + self.centre;
        let share = made.powf(-KAPPA);
        self.log_mean = &self.log_mean * (1.0 - share) + &log * share;
        let next = if self.is_done() { &self.log_mean } else { &log };
        self.step_size.copy_(&next.exp());
    }
}

impl Watch for WarmUp {
    fn started(&mut self, state: &mut ChainState) {
        // The state shares the number, so every later step reads what is written here.
        state.step_size = Some(self.step_size.shallow_clone());
    }

    fn seen(&mut self, _: usize, _: &mut ChainState, info: &StepInfo) {
        if let (Some(accept), false) = (&info.accept_prob, self.is_done()) {
            self.update(accept);
        }
    }
}
