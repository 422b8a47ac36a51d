//! Flow matching by the gradient of one energy that knows no time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::assignment::assignment;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use super::lines::{Lines, fall};
use crate::config::Checker;
use crate::error::Result;
use crate::rng::Stream;

/// mean w(t) |-grad E(x_t) - (x - z)|^2 / D over data x of D numbers, noise z of N(0, std^2), and
/// states x_t = (1 - t) z + t x at uniform times t: -grad E learns to carry noise to the data in a time of
/// 1 (Lipman et al. 2023), the first phase of Energy Matching (Balcerak et al. 2025). It runs no chains.
///
/// It matches the gradient of E itself, whatever T is. The kernel `transport` follows it. Far from the
/// data E so becomes a way to them; it is no log density. `contrastive`, from a later step on, makes it
/// one near the data.
///
/// w is 1 until the time `until`, and falls linearly to 0 at 1.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowMatching {
    /// What multiplies the term.
    pub weight: f64,
    /// Standard deviation of the noise, in the units of states.
    pub std: f64,
    /// The time from which on states weigh less, above 0, at most 1; with 1 all weigh the same.
    pub until: f64,
    /// Which noise leads to which state.
    pub pairing: Pairing,
}

/// Which noise leads to which state of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// That for which the squares of all distances have the least sum: optimal transport between the two
    /// halves of a batch (Tong et al. 2024), solved exactly on the host. Its time grows with the third
    /// power of the batch.
    #[default]
    Optimal,
    /// Any.
    Independent,
}

impl Default for FlowMatching {
    fn default() -> Self {
        Self {
            weight: 1.0,
            std: 1.0,
            until: 1.0,
            pairing: Pairing::Optimal,
        }
    }
}

const LINES: Lines = Lines {
    at: "states on the way to data",
    target: "minus the velocity of that way",
    weight: "what that way weighs",
};

impl ObjectiveSpec for FlowMatching {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("std", self.std)?;
        let holds = self.until > 0.0 && self.until <= 1.0;
        c.ensure(holds, "until", self.until, "a number above 0, at most 1")
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

    /// Without optimal transport, so that the field that is learned is known.
    fn example() -> Self {
        Self {
            until: 0.8,
            std: 1.5,
            pairing: Pairing::Independent,
            ..Self::default()
        }
    }
}

impl Objective for FlowMatching {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("flow_loss", "the term `flow-matching`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let mut noise = rng.normal(&x.size(), x.device()) * self.std;
        if self.pairing == Pairing::Optimal {
            noise = noise.index_select(0, &nearest_together(x, &noise));
        }
        LINES.put(inputs, &noise, rng, |t| [t.ones_like(), fall(t, self.until)]);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let (energy, value) = LINES.miss(passes, inputs);
        Loss {
            parts: vec![("energy_pos", energy.mean(Kind::Float)), ("flow_loss", value.detach())],
            watched: vec![energy],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("flow_loss")
    }
}

/// Which row of `noise` goes with each row of `x`, i64 `[B]`, by the least sum of squared distances.
fn nearest_together(x: &Tensor, noise: &Tensor) -> Tensor {
    let on_host = |t: &Tensor| t.flatten(1, -1).to_device(Device::Cpu).to_kind(Kind::Double);
    // |x - z|^2 differs from -2 x z by what no assignment changes.
    let costs = on_host(x).matmul(&on_host(noise).tr()).neg();
    let costs = Vec::<f64>::try_from(costs.view(-1)).expect("numbers of the host");
    let found = assignment(&costs, x.size()[0] as usize);
    let index: Vec<i64> = found.into_iter().map(|row| row as i64).collect();
    Tensor::from_slice(&index).to_device(x.device())
}
