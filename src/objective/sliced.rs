//! Score matching, sliced or exact.

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
/// without chains (Hyvarinen 2005; Song et al. 2020, the form with less variance). A mean over random
/// signs is Hutchinson's estimate of the trace of H.
///
/// E has to have second derivatives: a network of `relu` has none to learn by, one of `silu` has.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sliced {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// Directions for each state; each costs a backward pass. Null takes the exact trace of H, at a
    /// backward pass for every number of a state.
    #[serde(default = "one_each")]
    pub directions: Option<usize>,
}

fn one_each() -> Option<usize> {
    Some(1)
}

/// Signs, `[directions,B,..]`, or unit vectors, `[directions,1,..]`.
const SIGNS: &str = "directions of slices";

impl ObjectiveSpec for Sliced {
    fn check(&self, c: &Checker) -> Result<()> {
        match self.directions {
            Some(directions) => c.at_least_one("directions", directions as u64),
            None => Ok(()),
        }
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
            directions: Some(2),
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

/// The unit vectors of the space of `x`, `[D,1,..]`.
fn units(x: &Tensor) -> Tensor {
    let shape = &x.size()[1..];
    let numbers = shape.iter().product();
    let size: Vec<i64> = [numbers, 1].iter().chain(shape).copied().collect();
    Tensor::eye(numbers, (Kind::Float, x.device())).view(&size[..])
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
        let directions = match self.directions {
            Some(count) => {
                let size: Vec<i64> = std::iter::once(count as i64).chain(x.size()).collect();
                rng.uniform(&size, -1.0, 1.0, x.device()).sign()
            }
            None => units(x),
        };
        inputs.put(SIGNS, directions);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        tch::with_grad(|| {
            let x = inputs.of(name::DATA).detach().set_requires_grad(true);
            let found = energy_and_grad_with_graph(&*passes.live(), &x);
            let t = passes.temperature();
            let slices = inputs.of(SIGNS).unbind(0);
            let curvatures: Vec<Tensor> = slices.iter().map(|v| curvature(&found.grad, &x, v)).collect();
            // A mean over random signs is the trace; over unit vectors it is the sum.
            let times = if self.directions.is_some() {
                1.0
            } else {
                curvatures.len() as f64
            };
            let curvature = Tensor::stack(&curvatures, 0).mean(Kind::Float) * (times / t);
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
