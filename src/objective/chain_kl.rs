//! Improved contrastive divergence: chains are to end where the model is likely.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::inputs::Inputs;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;

/// mean E(x_K) of where chains end, differentiated through their last step alone: the part of the
/// KL divergence between chains and model that contrastive divergence leaves out (Du et al. 2021).
///
/// It stands beside `contrastive`; alone it has no minimum.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainKl {
    /// What multiplies the term.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
}

impl Default for ChainKl {
    fn default() -> Self {
        Self { weight: 1.0, from: 0 }
    }
}

impl ObjectiveSpec for ChainKl {
    fn check(&self, _: &Checker) -> Result<()> {
        Ok(())
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn from(&self) -> u64 {
        self.from
    }

    fn asks(&self) -> Asks {
        Asks {
            chains: true,
            chain_end: true,
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

impl Objective for ChainKl {
    fn quantities(&self) -> Vec<Quantity> {
        let meaning = "the term `chain-kl` of improved contrastive divergence, before its weight";
        vec![Quantity::of_chains("kl", meaning)]
    }

    fn loss(&self, passes: &dyn Passes, _: &Inputs) -> Loss {
        let value = kl_term(&*passes.held(), &passes.chain_end());
        Loss {
            parts: vec![("kl", value.detach())],
            watched: Vec::new(),
            value,
        }
    }
}

/// mean E(x_K), `[]`. `held` is the energy with its parameters held constant, so that the gradient
/// flows through `x_last`, `[B,..]`, alone.
pub fn kl_term(held: &dyn Energy, x_last: &Tensor) -> Tensor {
    let energy = held.energy(x_last);
    energy.mean(energy.kind())
}
