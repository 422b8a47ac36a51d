//! Maximum likelihood of states given their classes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::{Contrastive, contrast};
use super::cross_entropy::{ACCURACY, accuracy};
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;
use crate::sampling::ChainClasses;

/// Minus log p(x|y): mean E(x+,y+) - mean E(x-,y-) over labelled states and chains that keep their
/// class, whose classes have the shares of the labels, + energy_reg times the mean squares of both.
///
/// It says nothing of p(y).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditional {
    /// What multiplies the term.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
    /// Weight of the mean squared energies E(x,y) of both sides.
    pub energy_reg: f64,
}

impl Default for Conditional {
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

impl ObjectiveSpec for Conditional {
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
        of_pairs(ChainClasses::Kept)
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self::default()
    }
}

/// What terms of E(x,y) ask for, over chains of such classes.
pub(super) fn of_pairs(classes: ChainClasses) -> Asks {
    Asks {
        labels: true,
        chains: true,
        chain_classes: Some(classes),
        passes: vec![name::NEGATIVES, name::LABELLED],
        ..Asks::default()
    }
}

impl Objective for Conditional {
    fn quantities(&self) -> Vec<Quantity> {
        quantities_of_pairs()
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let classes = inputs.of(name::KEPT_CLASSES).shallow_clone();
        loss_of_pairs(passes, inputs, &classes, self.energy_reg)
    }
}

/// What terms of E(x,y) report.
pub(super) fn quantities_of_pairs() -> Vec<Quantity> {
    vec![
        Quantity::always("accuracy", ACCURACY),
        Quantity::of_chains(
            "joint_energy_pos",
            "mean E(x,y) of labelled states, where `conditional` or `joint` is trained",
        ),
        Quantity::of_chains("joint_energy_neg", "mean E(x,y) of chains"),
    ]
}

/// The contrast of E(x,y) between labelled states and chains of `classes`, i64 `[B]`.
pub(super) fn loss_of_pairs(passes: &dyn Passes, inputs: &Inputs, classes: &tch::Tensor, energy_reg: f64) -> Loss {
    let labels = inputs.of(name::LABELS);
    let pos = passes.joint(name::LABELLED, labels);
    let neg = passes.joint(name::NEGATIVES, classes);
    let mut loss = contrast([&pos, &neg], energy_reg, ["joint_energy_pos", "joint_energy_neg"]);
    loss.parts
        .push(("accuracy", accuracy(&passes.logits(name::LABELLED), labels)));
    loss
}
