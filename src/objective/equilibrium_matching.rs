//! Equilibrium matching: a gradient that vanishes at the data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use super::lines::{Lines, fall};
use crate::config::Checker;
use crate::error::Result;
use crate::rng::Stream;

/// mean |grad E(x_t) - c(t) (z - x)|^2 / D over data x of D numbers, noise z of N(0, std^2), and states
/// x_t = (1 - t) z + t x at uniform times t, with c(t) = scale min(1, (1 - t) / (1 - decay)): descent on
/// E leads from noise to the data and comes to rest there (Wang & Du 2025, with an explicit energy). It
/// runs no chains.
///
/// It matches the gradient of E itself, whatever T is. E is low at the data, and no log density: chains
/// that draw from exp(-E/T) draw from something near the data, and not from them.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EquilibriumMatching {
    /// What multiplies the term.
    pub weight: f64,
    /// Standard deviation of the noise, in the units of states.
    pub std: f64,
    /// The time from which on c falls to 0 at the data, from 0 to below 1.
    pub decay: f64,
    /// c before that time.
    pub scale: f64,
}

impl Default for EquilibriumMatching {
    fn default() -> Self {
        Self {
            weight: 1.0,
            std: 1.0,
            decay: 0.8,
            scale: 4.0,
        }
    }
}

const LINES: Lines = Lines {
    at: "states between noise and data",
    target: "the slope that is due there",
    weight: "what that slope weighs",
};

impl ObjectiveSpec for EquilibriumMatching {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("std", self.std)?;
        c.decay("decay", self.decay)?;
        c.positive("scale", self.scale)
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
            std: 1.5,
            decay: 0.6,
            scale: 1.2,
            ..Self::default()
        }
    }
}

impl Objective for EquilibriumMatching {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("equilibrium_loss", "the term `equilibrium-matching`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let noise = rng.normal(&x.size(), x.device()) * self.std;
        LINES.put(inputs, &noise, rng, |t| {
            [fall(t, self.decay) * self.scale, t.ones_like()]
        });
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let (energy, value) = LINES.miss(passes, inputs);
        Loss {
            parts: vec![
                ("energy_pos", energy.mean(Kind::Float)),
                ("equilibrium_loss", value.detach()),
            ],
            watched: vec![energy],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("equilibrium_loss")
    }
}
