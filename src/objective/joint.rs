//! Maximum likelihood of states and their classes together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

use super::asks::Asks;
use super::conditional::{loss_of_pairs, of_pairs, quantities_of_pairs};
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::Contrastive;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::energy::draw_classes;
use crate::error::Result;
use crate::sampling::ChainClasses;

/// Minus log p(x,y): mean E(x+,y+) - mean E(x-,y-) over labelled states and chains that draw their
/// class as well, + energy_reg times the mean squares of both.
///
/// With y- drawn from p(y|x-), its gradient is in expectation that of minus log p(x) plus that of
/// minus log p(y|x).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Joint {
    /// What multiplies the term.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
    /// Weight of the mean squared energies E(x,y) of both sides.
    pub energy_reg: f64,
}

impl Default for Joint {
    fn default() -> Self {
        let Contrastive {
            weight,
            from,
            energy_reg,
            ..
        } = Contrastive::default();
        Self {
            weight,
            from,
            energy_reg,
        }
    }
}

impl ObjectiveSpec for Joint {
    fn check(&self, c: &Checker) -> Result<()> {
        c.non_negative("energy_reg", self.energy_reg)
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn from(&self) -> u64 {
        self.from
    }

    fn asks(&self) -> Asks {
        of_pairs(ChainClasses::Drawn)
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self::default()
    }
}

impl Objective for Joint {
    fn quantities(&self) -> Vec<Quantity> {
        quantities_of_pairs()
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let classes = draw_classes(&passes.logits(name::NEGATIVES), inputs.of(name::CLASS_NOISE));
        loss_of_pairs(passes, inputs, &classes, self.energy_reg)
    }
}
