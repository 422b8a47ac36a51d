//! Denoising score matching at one noise level.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::energy::energy_and_grad_with_graph;
use crate::error::Result;
use crate::rng::Stream;
use crate::space::sum_each;

/// mean |sigma grad E(x + sigma z) / T - z|^2 / 2 over data x and standard normal z: the model learns
/// the score of the data smoothed by N(0, sigma^2) (Vincent 2011). It runs no chains.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denoising {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// Standard deviation of the noise, in the units of states.
    pub sigma: f64,
}

/// Data with noise added, `[B,..]`.
const NOISED: &str = "noised data";
/// That noise in standard deviations, `[B,..]`.
const NOISE: &str = "noise of noised data";

impl ObjectiveSpec for Denoising {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("sigma", self.sigma)
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

    fn example() -> Self {
        Self {
            weight: 1.0,
            sigma: 0.3,
        }
    }
}

impl Objective for Denoising {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("score_loss", "the term `denoising`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let z = rng.normal(&x.size(), x.device());
        inputs.put(NOISED, x + &z * self.sigma);
        inputs.put(NOISE, z);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let found = energy_and_grad_with_graph(&*passes.live(), inputs.of(NOISED));
        let score = found.grad * (self.sigma / passes.temperature());
        let value = sum_each(&(score - inputs.of(NOISE)).square()).mean(Kind::Float) * 0.5;
        let energy = found.energy.detach();
        Loss {
            parts: vec![("energy_pos", energy.mean(Kind::Float)), ("score_loss", value.detach())],
            watched: vec![energy],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("score_loss")
    }
}
