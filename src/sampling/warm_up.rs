//! Finds the step size of a kernel that rejects, and the scales of a state, on the device, while
//! chains run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::chain::Watch;
use super::kernel::{ChainState, Kernel, StepInfo};
use super::scales::Scales;
use super::spacing::Spacing;
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
    /// Whether the scale of each number of a state is found too, from the variance of the chains: it
    /// is the diagonal mass matrix of `hmc` and `nuts`, and the diagonal preconditioner of the others.
    #[serde(default)]
    pub mass: bool,
    /// How often neighbours of the ladder of `tempering` are to swap, between 0 and 1; its temperatures
    /// are moved until they do. The first 50 steps of a chain do not count, in which replicas are near
    /// to it. Null keeps the temperatures.
    #[serde(default)]
    pub swaps: Option<f64>,
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
        )?;
        let swaps = self.swaps.unwrap_or(0.5);
        c.ensure(swaps > 0.0 && swaps < 1.0, "swaps", swaps, "a number between 0 and 1")
    }
}

/// How strongly early steps are held back (Hoffman & Gelman 2014).
const T0: f64 = 10.0;
const GAMMA: f64 = 0.05;
const KAPPA: f64 = 0.75;

/// Dual averaging towards a mean acceptance (Nesterov 2009; Hoffman & Gelman 2014), for all chains
/// together. The host reads nothing; once the steps are made, the numbers stay as they are.
///
/// Scales are found in windows, each twice as long as the one before, as Stan does; after each, the
/// step size is sought anew.
#[derive(Debug)]
pub struct WarmUp {
    config: WarmUpConfig,
    made: usize,
    /// The step after which the step size was last sought anew.
    begun: usize,
    /// Where log step sizes are drawn to, the running shortfall of the acceptance, the running mean
    /// of the log step size, and the step size in use, `[]` each, f32.
    centre: Tensor,
    shortfall: Tensor,
    log_mean: Tensor,
    step_size: Tensor,
    scales: Option<Scales>,
    spacing: Option<Spacing>,
}

impl WarmUp {
    /// A warm-up for states of this `shape`, which begins with the kernel's own step size.
    ///
    /// # Panics
    /// For a kernel that has none to be found.
    pub fn new(config: WarmUpConfig, kernel: &dyn Kernel, shape: &[i64], device: Device) -> Self {
        let own = kernel
            .step_size()
            .expect("checked to have a step size that can be found");
        let spacing = |swaps| Some(Spacing::new(swaps, kernel.ladder()?, device));
        let number = |value: f64| Tensor::full([0i64; 0], value, (Kind::Float, device));
        Self {
            config,
            made: 0,
            begun: 0,
            centre: number((10.0 * own).ln()),
            shortfall: number(0.0),
            log_mean: number(0.0),
            step_size: number(own),
            scales: config.mass.then(|| Scales::new(config.steps, shape, device)),
            spacing: config.swaps.and_then(spacing),
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

    /// The scale of each number of a state, `[1,..]`, on the device, where it is sought.
    pub fn scale(&self) -> Option<&Tensor> {
        self.scales.as_ref().map(Scales::scale)
    }

    /// The temperatures of the ladder, `[R]`, on the device, where they are sought.
    pub fn ladder(&self) -> Option<&Tensor> {
        self.spacing.as_ref().map(Spacing::ladder)
    }

    /// What a checkpoint needs, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let count = |n: usize| Tensor::from_slice(&[n as i64]);
        let mut named = vec![
            ("shortfall", self.shortfall.shallow_clone()),
            ("log_mean", self.log_mean.shallow_clone()),
            ("step_size", self.step_size.shallow_clone()),
            ("made", count(self.made)),
        ];
        if let Some(scales) = &self.scales {
            named.push(("centre", self.centre.shallow_clone()));
            named.push(("begun", count(self.begun)));
            named.extend(scales.state());
        }
        if let Some(spacing) = &self.spacing {
            named.extend(spacing.state());
        }
        let named = named.into_iter();
        named.map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }

    /// Goes on from a saved state; `place` names it in errors.
    ///
    /// # Errors
    /// When names, shapes or kinds differ, or a number is not finite.
    pub fn load_state(&mut self, named: &Named, place: &str) -> Result<()> {
        files::check_same(&self.state(), named, place)?;
        files::ensure_finite(named, &format!("{place}, the warm-up"))?;
        let count = |name: &str| named[name].int64_value(&[0]) as usize;
        self.shortfall.copy_(&named["shortfall"]);
        self.log_mean.copy_(&named["log_mean"]);
        self.step_size.copy_(&named["step_size"]);
        self.made = count("made");
        if let Some(scales) = &mut self.scales {
            self.centre.copy_(&named["centre"]);
            self.begun = count("begun");
            scales.load_state(named);
        }
        if let Some(spacing) = &mut self.spacing {
            spacing.load_state(named);
        }
        Ok(())
    }

    fn update(&mut self, k: usize, x: &Tensor, accept: &Tensor, swaps: Option<&Tensor>) {
        let _guard = no_grad_guard();
        self.made += 1;
        self.average(accept);
        if let (Some(spacing), Some(swaps)) = (&mut self.spacing, swaps) {
            spacing.update(k, swaps);
        }
        if let Some(scales) = &mut self.scales
            && scales.seen(self.made, x)
        {
            self.begin_anew();
        }
    }

    /// A step of dual averaging.
    fn average(&mut self, accept: &Tensor) {
        let made = (self.made - self.begun) as f64;
        let weight = 1.0 / (made + T0);
        let short = accept.mean(Kind::Float).neg() + self.config.accept;
        self.shortfall = &self.shortfall * (1.0 - weight) + short * weight;
        let log = &self.shortfall * (-made.sqrt() / GAMMA) + &self.centre;
        let share = made.powf(-KAPPA);
        self.log_mean = &self.log_mean * (1.0 - share) + &log * share;
        let next = if self.is_done() { &self.log_mean } else { &log };
        self.step_size.copy_(&next.exp());
    }

    /// Seeks the step size from the one in use, as is due where scales have changed.
    fn begin_anew(&mut self) {
        self.begun = self.made;
        self.centre.copy_(&(self.step_size.log() + 10f64.ln()));
        let _ = self.shortfall.zero_();
        let _ = self.log_mean.zero_();
    }
}

impl Watch for WarmUp {
    fn started(&mut self, state: &mut ChainState) {
        // The state shares the numbers, so every later step reads what is written here.
        state.step_size = Some(self.step_size.shallow_clone());
        state.scale = self.scale().map(Tensor::shallow_clone);
        if let Some(ladder) = self.ladder() {
            state.ladder = Some(ladder.shallow_clone());
        }
    }

    fn seen(&mut self, k: usize, state: &mut ChainState, info: &StepInfo) {
        if let (Some(accept), false) = (&info.accept_prob, self.is_done()) {
            self.update(k, &state.x, accept, info.swap_prob.as_ref());
        }
    }
}
