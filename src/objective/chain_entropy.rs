//! Improved contrastive divergence: chains are to end apart from each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;
use crate::space::sum_each;

/// The least distance whose logarithm is taken, in the units of states: below it the term is flat.
pub const LEAST_DISTANCE: f64 = 1e-6;

/// Kept out of the fast product form of distances, which rounds small ones away.
const EXACT_DISTANCES: i64 = 2;

/// Minus the mean log distance of a chain's end to its nearest neighbour among chains of the replay
/// buffer, differentiated through the last step (Du et al. 2021, who give it the weight 0.3).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainEntropy {
    /// What multiplies the term.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
}

impl Default for ChainEntropy {
    fn default() -> Self {
        Self { weight: 0.3, from: 0 }
    }
}

impl ObjectiveSpec for ChainEntropy {
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
            neighbours: true,
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

impl Objective for ChainEntropy {
    fn quantities(&self) -> Vec<Quantity> {
        let meaning = "the term `chain-entropy` of improved contrastive divergence, before its weight";
        vec![Quantity::of_chains("entropy", meaning)]
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let value = entropy_term(&passes.chain_end(), inputs.of(name::NEIGHBOURS));
        Loss {
            parts: vec![("entropy", value.detach())],
            watched: Vec::new(),
            value,
        }
    }
}

/// Minus the mean of log |x - nearest of `others`|, `[]`: minus the entropy of where chains end, up to a factor and a
/// constant, by its estimate from nearest neighbours (Kozachenko & Leonenko 1987).
///
/// `x_last` is `[B,..]`, `others` `[M,..]`, M of 1 or more, are states that the gradient leaves alone, such as 100
/// of the replay buffer. A distance counts as [`LEAST_DISTANCE`] at least.
pub fn entropy_term(x_last: &Tensor, others: &Tensor) -> Tensor {
    let (x, others) = (x_last.flatten(1, -1), others.detach().flatten(1, -1));
    let distances = Tensor::cdist(&x.detach(), &others, 2.0, EXACT_DISTANCES);
    let nearest = others.index_select(0, &distances.argmin(1, false));
    // The root is taken as half of the logarithm: its own slope at 0 is infinite.
    let squares = sum_each(&(x - nearest).square());
    squares
        .clamp_min(LEAST_DISTANCE * LEAST_DISTANCE)
        .log()
        .mean(Kind::Float)
        * -0.5
}
