//! Energy discrepancy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;
use crate::rng::Stream;

/// mean over data of log((stabiliser + sum over j of exp((E(x) - E(x_j)) / T)) / samples), with x_j = x +
/// sigma z + sigma z_j: data are told from what is left of them after noise has been put on and taken
/// off again (Schroeder et al. 2023). It takes energies alone, no gradient in x and no chains.
///
/// z is one for each state, z_j one for each of its samples. Small `sigma` teaches the score, large
/// `sigma` the likelihood, at more variance. Many samples bring the minimum to the density of the data;
/// the stabiliser keeps the logarithm finite, and flattens the energy where samples are few.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyDiscrepancy {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The standard deviation of each of the two noises, in the units of states.
    pub sigma: f64,
    /// Samples for each state, M; each costs a pass.
    #[serde(default = "four")]
    pub samples: usize,
    /// Added to the sum over the samples, w.
    #[serde(default = "crate::config::one")]
    pub stabiliser: f64,
}

fn four() -> usize {
    4
}

/// What noise has made of data, `[B samples,..]`, those of a state one after another.
const MOVED: &str = "moved data";

impl ObjectiveSpec for EnergyDiscrepancy {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("sigma", self.sigma)?;
        c.at_least_one("samples", self.samples as u64)?;
        c.non_negative("stabiliser", self.stabiliser)
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            passes: vec![name::DATA, MOVED],
            ..Asks::of_data()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            sigma: 1.0,
            samples: 32,
            stabiliser: 1.0,
        }
    }
}

impl Objective for EnergyDiscrepancy {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always("energy_moved", "mean energy of data that noise has moved"),
            Quantity::always("discrepancy_loss", "the term `energy-discrepancy`, before its weight"),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let samples = self.samples as i64;
        let shared = x + rng.normal(&x.size(), x.device()) * self.sigma;
        let each = shared.repeat_interleave_self_int(samples, 0, None);
        let own = rng.normal(&each.size(), x.device()) * self.sigma;
        inputs.put(MOVED, each + own);
    }

    fn loss(&self, passes: &dyn Passes, _: &Inputs) -> Loss {
        let (data, moved) = (passes.energy(name::DATA), passes.energy(MOVED));
        let samples = self.samples as i64;
        let falls = (data.unsqueeze(1) - moved.view([-1, samples])) / passes.temperature();
        let value = self.log_sum(falls).mean(Kind::Float) - (samples as f64).ln();
        let (data, moved) = (data.detach(), moved.detach());
        Loss {
            parts: vec![
                ("energy_pos", data.mean(Kind::Float)),
                ("energy_moved", moved.mean(Kind::Float)),
                ("discrepancy_loss", value.detach()),
            ],
            watched: vec![data, moved],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("discrepancy_loss")
    }
}

impl EnergyDiscrepancy {
    /// log(stabiliser + sum of exp) of each row.
    fn log_sum(&self, rows: Tensor) -> Tensor {
        if self.stabiliser == 0.0 {
            return rows.logsumexp(1, false);
        }
        let shape = [rows.size()[0], 1];
        let constant = Tensor::full(shape, self.stabiliser.ln(), (Kind::Float, rows.device()));
        Tensor::cat(&[rows, constant], 1).logsumexp(1, false)
    }
}
