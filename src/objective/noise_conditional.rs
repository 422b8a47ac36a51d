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
    /// How many levels are drawn, a constant factor apart; null draws any between the two.
    #[serde(default)]
    pub count: Option<usize>,
    /// Where levels are drawn most often; null draws all of them alike, their logarithm uniform.
    #[serde(default)]
    pub focus: Option<Focus>,
    /// The standard deviation of the data, in the units of states, by which a level weighs 1 + sigma^2 /
    /// data_std^2 times as much (Karras et al. 2022): the large levels, at which a state's whole is
    /// decided, then teach as much as the small ones. Null leaves all weights at 1.
    #[serde(default)]
    pub data_std: Option<f64>,
}

/// The logarithm of a level is normal, cut off at the smallest and the largest level.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// The median level, were nothing cut off.
    pub level: f64,
    /// The standard deviation of the logarithm.
    pub spread: f64,
}

impl Focus {
    /// The logarithms of levels between two at shares `[n]` of their distribution, `[n]`.
    fn logs(&self, shares: &Tensor, low: f64, high: f64) -> Tensor {
        let standard = |level: f64| (level / self.level).ln() / self.spread;
        let below = |level: f64| 0.5 * (1.0 + Tensor::from(standard(level) / 2f64.sqrt()).erf().double_value(&[]));
        let (first, last) = (below(low), below(high));
        let shares = shares.to_kind(Kind::Double) * (last - first) + first;
        let z = (shares * 2.0 - 1.0).erfinv() * 2f64.sqrt();
        // Shares that round to 0 or 1 lie outside.
        let z = z.clamp(standard(low), standard(high));
        (z * self.spread + self.level.ln()).to_kind(Kind::Float)
    }
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
        c.ensure(count >= 2, "count", count, "2 or more, or null")?;
        if let Some(focus) = self.focus {
            c.positive("focus.level", focus.level)?;
            c.positive("focus.spread", focus.spread)?;
            let inside = (self.low..=self.high).contains(&focus.level);
            c.ensure(inside, "focus.level", focus.level, "a number from `low` to `high`")?;
        }
        if self.focus.is_some() && self.count.is_some() {
            let what = "draws any level, and `count` draws some of them alike";
            return c.conflict("focus", what, "remove one of the two");
        }
        self.data_std.map_or(Ok(()), |std| c.positive("data_std", std))
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
            focus: None,
            data_std: None,
        }
    }
}

impl NoiseConditional {
    /// The levels of `n` states, `[n]`: the draws are spread evenly, so that each batch has small and
    /// large ones.
    fn levels(&self, n: i64, device: Device, rng: &mut Stream) -> Tensor {
        let offset = rng.uniform(&[1], 0.0, 1.0, device);
        let way = (Tensor::arange(n, (Kind::Float, device)) + offset) / n as f64;
        if let Some(focus) = self.focus {
            return focus.logs(&way, self.low, self.high).exp();
        }
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
        let squares = sum_each(&(told - inputs.of(NOISE)).square());
        let squares = match self.data_std {
            None => squares,
            Some(std) => squares * ((levels / std).square() + 1.0),
        };
        let value = squares.mean(Kind::Float) * 0.5;
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
