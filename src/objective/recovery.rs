//! Recovery likelihood: maximum likelihood of states given noised versions of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::contrast;
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::energy::{Energy, Outputs};
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::recovered::{Recovered, check_levels, spread};
use crate::space::each;

/// Minus log p(y|x) of states y at a level of noise, given x one level above: mean E(y+, level) - mean
/// E(y-, level) over y+ from data and y- from chains that start at x and follow exp(-E(y, level) / T -
/// |y - x|^2 / (2 s^2)) (diffusion recovery likelihood, Gao et al. 2021).
///
/// What is near x holds few modes, so that short chains follow that density, and the energy at each
/// level comes out as that of the data with noise of that level. Levels are drawn uniformly for each
/// state of a batch. The model takes the level (`levels` of its file). The kernel is `recovery` with the
/// same levels, which samples such a model too; its chains start from none of `sampler`'s places.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// Rising standard deviations of noise, in the units of states; energies are learned at all but the
    /// last.
    pub levels: Vec<f64>,
    /// Weight of the mean squared energies of both sides.
    #[serde(default)]
    pub energy_reg: f64,
}

/// Data at their levels, `[B,..]`.
const STATES: &str = "states to recover";
/// The same one level above, `[B,..]`.
const NOISED: &str = "states to recover from";
/// The levels, `[B]`.
const LEVELS: &str = "levels of states to recover";
/// The deviation of the noise between, `[B]`.
const SPREAD: &str = "noise to recover from";

impl ObjectiveSpec for Recovery {
    fn check(&self, c: &Checker) -> Result<()> {
        c.non_negative("energy_reg", self.energy_reg)?;
        check_levels(c, &self.levels)
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        let learned = self.levels.len().saturating_sub(2);
        let levels = self.levels.first().zip(self.levels.get(learned));
        Asks {
            chains: true,
            own_chains: true,
            levels: levels.map(|(low, high)| [*low, *high]),
            ..Asks::of_data()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            levels: vec![0.3, 1.0, 2.0],
            energy_reg: 0.0,
        }
    }
}

impl Recovery {
    /// The levels of `n` states and the noise to the next ones, `[n]` each.
    fn draw(&self, n: i64, device: Device, rng: &mut Stream) -> [Tensor; 2] {
        let at = rng.integers(self.levels.len() as i64 - 1, n, device);
        let spreads = self.levels.windows(2).map(|pair| spread(pair[0], pair[1]));
        [self.levels.clone(), spreads.collect()].map(|all: Vec<f64>| {
            let all = Tensor::from_slice(&all).to_kind(Kind::Float).to_device(device);
            all.index_select(0, &at)
        })
    }

    /// What chains move by.
    fn target<'a>(&self, energy: Box<dyn Energy + 'a>, temperature: f64, inputs: &Inputs) -> Recovered<'a> {
        Recovered {
            energy,
            noised: inputs.of(NOISED).shallow_clone(),
            spread: inputs.of(SPREAD).shallow_clone(),
            temperature,
        }
    }
}

impl Objective for Recovery {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::always("energy_pos", super::contrastive::ENERGY_POS),
            Quantity::of_chains(
                "energy_neg",
                "E-, the mean energy of the states that the chains have just synthesised",
            ),
        ]
    }

    fn before_chains(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let [levels, spreads] = self.draw(x.size()[0], x.device(), rng);
        let noise = |rng: &mut Stream| rng.normal(&x.size(), x.device());
        let states = x + noise(rng) * each(&levels, x);
        let noised = &states + noise(rng) * each(&spreads, x);
        inputs.put(STATES, states);
        inputs.put(NOISED, noised);
        inputs.put(LEVELS, levels);
        inputs.put(SPREAD, spreads);
    }

    fn chain_start(&self, inputs: &Inputs) -> Option<Tensor> {
        Some(inputs.of(NOISED).zeros_like())
    }

    fn chain_target<'a>(
        &'a self,
        of: &'a dyn Outputs,
        temperature: f64,
        inputs: &'a Inputs,
    ) -> Option<Box<dyn Energy + 'a>> {
        let energy = of.any().into_level(inputs.of(LEVELS));
        let energy = energy.expect("checked to take levels of noise");
        Some(Box::new(self.target(energy, temperature, inputs)))
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let (states, levels) = (inputs.of(STATES), inputs.of(LEVELS));
        let held = inputs.of(name::NEGATIVES);
        let recovered = inputs.of(NOISED) + held * each(inputs.of(SPREAD), held);
        let live = passes.live();
        let energy = live.at_level(&Tensor::cat(&[levels, levels], 0));
        let energy = energy.expect("checked to take levels of noise");
        let both = energy.energy(&Tensor::cat(&[states, &recovered], 0)).chunk(2, 0);
        contrast([&both[0], &both[1]], self.energy_reg, ["energy_pos", "energy_neg"])
    }
}
