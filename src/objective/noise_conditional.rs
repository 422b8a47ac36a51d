//! Denoising score matching over many noise levels, of an energy that takes the level.

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
use crate::space::{each, sum_each};

/// mean |sigma grad E(x + sigma z, sigma) / T - z|^2 / 2 over data x, standard normal z and levels
/// sigma from `low` to `high`: denoising score matching at each level, weighed by sigma^2 so that all
/// count alike (NCSN, Song & Ermon 2019). It runs no chains.
///
/// The model takes the level (`levels` of its file), and learns at each the density of the data
/// smoothed by N(0, sigma^2 I). Kernels that go down the levels sample it: `annealed-langevin` and
/// `predictor-corrector`.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseConditional {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The smallest level that is drawn, in the units of states.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// How many levels are drawn, a constant factor apart; null draws any between the two, their
    /// logarithm uniform.
    #[serde(default)]
    pub count: Option<usize>,
}

/// Data with noise added, `[B,..]`.
const NOISED: &str = "data noised at levels";
/// That noise in standard deviations, `[B,..]`.
const NOISE: &str = "noise of levels";
/// The levels, `[B]`.
const LEVELS: &str = "noise levels";

impl ObjectiveSpec for NoiseConditional {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("low", self.low)?;
        c.positive("high", self.high)?;
        c.ensure(self.low < self.high, "high", self.high, "a number above `low`")?;
        let count = self.count.unwrap_or(2);
        c.ensure(count >= 2, "count", count, "2 or more, or null")
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            levels: Some([self.low, self.high]),
            ..Asks::of_data()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            low: 0.2,
            high: 2.0,
            count: None,
        }
    }
}

impl NoiseConditional {
    /// The levels of `n` states, `[n]`: the draws are spread evenly, so that each batch has small and
    /// large ones.
    fn levels(&self, n: i64, device: Device, rng: &mut Stream) -> Tensor {
        let offset = rng.uniform(&[1], 0.0, 1.0, device);
        let way = (Tensor::arange(n, (Kind::Float, device)) + offset) / n as f64;
        let way = match self.count {
            None => way,
            Some(count) => (way * count as f64).floor().clamp_max(count as f64 - 1.0) / (count as f64 - 1.0),
        };
        (way * (self.high / self.low).ln() + self.low.ln()).exp()
    }
}

impl Objective for NoiseConditional {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", ENERGY_POS),
            Quantity::always(
                "noise_conditional_loss",
                "the term `noise-conditional`, before its weight",
            ),
        ]
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let levels = self.levels(x.size()[0], x.device(), rng);
        let z = rng.normal(&x.size(), x.device());
        inputs.put(NOISED, x + &z * each(&levels, &z));
        inputs.put(NOISE, z);
        inputs.put(LEVELS, levels);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let levels = inputs.of(LEVELS);
        let live = passes.live();
        let energy = live.at_level(levels).expect("checked to take levels of noise");
        let found = energy_and_grad_with_graph(&*energy, inputs.of(NOISED));
        let told = &found.grad * each(&(levels / passes.temperature()), &found.grad);
        let value = sum_each(&(told - inputs.of(NOISE)).square()).mean(Kind::Float) * 0.5;
        let energy = found.energy.detach();
        Loss {
            parts: vec![
                ("energy_pos", energy.mean(Kind::Float)),
                ("noise_conditional_loss", value.detach()),
            ],
            watched: vec![energy],
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("noise_conditional_loss")
    }
}
