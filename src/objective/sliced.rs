//! Sliced score matching.

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
use crate::space::sum_each;

/// mean |grad E(x) / T|^2 / 2 - v' H(x) v / T over data x and directions v of random signs, H the
/// second derivatives of E: the model learns the score of the data themselves, without noise and
/// without chains (Hyvarinen 2005; Song et al. 2020, the form with less variance).
///
/// E has to have second derivatives: a network of `relu` has none to learn by, one of `silu` has.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sliced {
    /// What multiplies the term.
    #[serde(default = "one")]
    pub weight: f64,
    /// Directions for each state; each costs a backward pass.
    #[serde(default = "one_each")]
    pub directions: usize,
}

fn one() -> f64 {
    1.0
}

fn one_each() -> usize {
    1
}

/// Signs, `[directions,B,..]`.
const SIGNS: &str = "directions of slices";

impl ObjectiveSpec for Sliced {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("directions", self.directions as u64)
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            data: true,
            ..Asks::default()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            directions: 2,
        }
    }
}

/// v' H v of each state, `[B]`, from gradients with a graph behind them.
fn curvature(grad: &Tensor, x: &Tensor, v: &Tensor) -> Tensor {
    let along = (grad * v).sum(Kind::Float);
    let second = Tensor::run_backward(&[along], &[x], true, true).remove(0);
    match second.defined() {
        true => sum_each(&(second * v)),
        // An energy that is linear in pieces.
        false => sum_each(&x.zeros_like()),
    }
}

impl Objective for Sliced {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("sliced_loss", "the term `sliced`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let size: Vec<i64> = std::iter::once(self.directions as i64).chain(x.size()).collect();
        inputs.put(SIGNS, rng.uniform(&size, -1.0, 1.0, x.device()).sign());
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        tch::with_grad(|| {
            let x = inputs.of(name::DATA).detach().set_requires_grad(true);
            let found = energy_and_grad_with_graph(&*passes.live(), &x);
            let t = passes.temperature();
            let slices = inputs.of(SIGNS).unbind(0);
            let curvatures: Vec<Tensor> = slices.iter().map(|v| curvature(&found.grad, &x, v)).collect();
            let curvature = Tensor::stack(&curvatures, 0).mean(Kind::Float) / t;
            let value = sum_each(&found.grad.square()).mean(Kind::Float) * (0.5 / (t * t)) - curvature;
            let energy = found.energy.detach();
            Loss {
                parts: vec![
                    ("energy_pos", energy.mean(Kind::Float)),
                    ("sliced_loss", value.detach()),
                ],
                watched: vec![energy],
                value,
            }
        })
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("sliced_loss")
    }
}
