//! Denoising score matching over many noise levels with one energy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::energy::energy_and_grad_with_graph;
use crate::error::Result;
use crate::rng::Stream;
use crate::space::{each, sum_each};

/// mean |z - reference^2 grad E(x + sigma z) / (sigma T)|^2 / 2 over data x, standard normal z and a
/// sigma for each state of a batch, which are spaced by a constant factor from `low` to `high`:
/// multiscale denoising score matching (Li et al. 2019). It runs no chains.
///
/// One energy that knows no level learns them all: grad E(y) / T = (y - mean of x given y) /
/// reference^2, levels weighed by 1 / sigma^2. Near the data that is the score of the data smoothed by N(0, reference^2); far away
/// the energy leads back to them, as no single level teaches. Chains of falling temperature sample it
/// (the kernel `annealing` of `langevin`), and a last step y - reference^2 grad E(y) / T removes the
/// noise that is left.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiscale {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The smallest standard deviation of the noise, in the units of states.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// The level whose smoothed density the energy is of, s0.
    pub reference: f64,
}

/// Data with noise added, `[B,..]`.
const NOISED: &str = "data noised at many levels";
/// That noise in standard deviations, `[B,..]`.
const NOISE: &str = "noise at many levels";
/// Those standard deviations, `[B]`.
const SIGMAS: &str = "levels of noise";

impl ObjectiveSpec for Multiscale {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("low", self.low)?;
        c.positive("high", self.high)?;
        c.positive("reference", self.reference)?;
        c.ensure(self.low <= self.high, "high", self.high, "a number at least `low`")
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks::of_data()
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    /// One level, at which the density that is learned is known.
    fn example() -> Self {
        Self {
            weight: 1.0,
            low: 0.3,
            high: 0.3,
            reference: 0.3,
        }
    }
}

impl Multiscale {
    /// The level of each of `n` states, `[n]`.
    fn sigmas(&self, n: i64, device: Device) -> Tensor {
        Tensor::linspace(self.low.ln(), self.high.ln(), n, (Kind::Float, device)).exp()
    }
}

impl Objective for Multiscale {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("multiscale_loss", "the term `multiscale`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let z = rng.normal(&x.size(), x.device());
        let sigmas = self.sigmas(x.size()[0], x.device());
        inputs.put(NOISED, x + &z * each(&sigmas, &z));
        inputs.put(NOISE, z);
        inputs.put(SIGMAS, sigmas);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let found = energy_and_grad_with_graph(&*passes.live(), inputs.of(NOISED));
        let scale = inputs.of(SIGMAS).reciprocal() * (self.reference.powi(2) / passes.temperature());
        let told = &found.grad * each(&scale, &found.grad);
        let value = sum_each(&(told - inputs.of(NOISE)).square()).mean(Kind::Float) * 0.5;
        let energy = found.energy.detach();
        Loss {
            parts: vec![
                ("energy_pos", energy.mean(Kind::Float)),
                ("multiscale_loss", value.detach()),
            ],
            watched: vec![energy],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("multiscale_loss")
    }
}
