//! Maximum likelihood with samples of chains in the place of the model's expectation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;

/// Minus log p(x): mean E(x+) - mean E(x-) over data x+ and chains x- that follow p(x), +
/// energy_reg (mean E(x+)^2 + mean E(x-)^2).
///
/// Without the last term its gradient is that of minus the log likelihood, up to T, if x- are
/// samples of the model (Hinton 2002); with it energies stay near 0 (Du & Mordatch 2019).
///
/// `trim` and `floor` are those of Energy Matching, whose second phase this is (Balcerak et al. 2025).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contrastive {
    /// What multiplies the term.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
    /// Weight of the mean squared energies of both sides.
    pub energy_reg: f64,
    /// The share of x-, those of the highest energies, that is left out, from 0 to below 1.
    pub trim: f64,
    /// The least value of the term before its weight, below which it teaches nothing; null is none.
    pub floor: Option<f64>,
}

impl Default for Contrastive {
    fn default() -> Self {
        Self {
            weight: 1.0,
            from: 0,
            energy_reg: 0.0,
            trim: 0.0,
            floor: None,
        }
    }
}

impl ObjectiveSpec for Contrastive {
    fn check(&self, c: &Checker) -> Result<()> {
        c.non_negative("energy_reg", self.energy_reg)?;
        c.decay("trim", self.trim)?;
        c.finite("floor", self.floor.unwrap_or(0.0))
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn from(&self) -> u64 {
        self.from
    }

    fn asks(&self) -> Asks {
        Asks {
            data: true,
            chains: true,
            passes: vec![name::DATA, name::NEGATIVES],
            ..Asks::default()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self::default()
    }
}

/// What every term says of the energies of data.
pub(super) const ENERGY_POS: &str = "E+, the mean energy of states of the data, with their noise and augmentation";

impl Objective for Contrastive {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::of_chains(
                "energy_neg",
                "E-, the mean energy of the states that the chains have just synthesised",
            ),
        ]
    }

    fn loss(&self, passes: &dyn Passes, _: &Inputs) -> Loss {
        let (pos, neg) = (passes.energy(name::DATA), passes.energy(name::NEGATIVES));
        let names = ["energy_pos", "energy_neg"];
        let loss = contrast([&pos, &neg], self.energy_reg, names);
        let value = match self.trim {
            0.0 => loss.value,
            trim => contrast([&pos, &lowest(&neg, 1.0 - trim)], self.energy_reg, names).value,
        };
        let value = match self.floor {
            None => value,
            Some(floor) => value.clamp_min(floor),
        };
        Loss { value, ..loss }
    }
}

/// That share of energies `[B]` which is lowest, one at least.
fn lowest(energy: &Tensor, share: f64) -> Tensor {
    let n = energy.size()[0];
    let kept = ((n as f64 * share).round() as i64).max(1);
    energy.topk(kept, 0, false, false).0
}

/// mean E(x+) - mean E(x-) + energy_reg (mean E(x+)^2 + mean E(x-)^2) of energies `[B]` of both
/// sides, which may differ in size; their means are reported under `names`.
pub fn contrast([pos, neg]: [&Tensor; 2], energy_reg: f64, names: [&'static str; 2]) -> Loss {
    let means = [pos, neg].map(|energy| energy.mean(Kind::Float));
    let mut value = &means[0] - &means[1];
    if energy_reg > 0.0 {
        let squares = pos.square().mean(Kind::Float) + neg.square().mean(Kind::Float);
        value += squares * energy_reg;
    }
    let parts = names.into_iter().zip(means.iter().map(Tensor::detach)).collect();
    Loss {
        value,
        parts,
        watched: vec![pos.detach(), neg.detach()],
    }
}
