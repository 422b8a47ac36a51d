//! Tempered transitions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Hmc, KernelConfig, KernelSpec};
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, StepInfo};
use crate::sampling::metropolis::{choose, level, test};
use crate::sampling::rungs::{Found, Rung, check_inner, check_ladder, ladder, rungs};
use crate::space::Space;

/// A step takes a chain up a ladder of temperatures and down again, by the kernel inside once on each
/// rung either way, and accepts or rejects where it ends (Neal 1996).
///
/// It leaves exp(-E/T) exactly as it is. A step costs two of the kernel inside for each temperature.
/// The ladder is to be so close that most steps are accepted, and its top so hot that the kernel
/// crosses between modes. It needs no memory for replicas.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemperedTransitions {
    /// The kernel of each rung, one that accepts or rejects.
    pub kernel: Box<KernelConfig>,
    /// The temperatures on the way up, as multiples of that of the kernel: above 1, rising.
    pub temperatures: Vec<f64>,
}

impl KernelSpec for TemperedTransitions {
    fn check(&self, c: &Checker) -> Result<()> {
        check_ladder(c, &self.temperatures)?;
        check_inner(c, &self.kernel)?;
        if self.kernel.build(1).facts().exact {
            return Ok(());
        }
        c.conflict(
            &format!("kernel.{}", self.kernel.word()),
            "does not leave its target as it is, which the test at the end of a step relies on",
            "choose a kernel that accepts or rejects",
        )
    }

    fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        Box::new(Transitions {
            kernel: self.kernel.build(n_steps),
            temperatures: self.temperatures.clone(),
        })
    }

    fn example() -> Self {
        Self {
            kernel: Box::new(KernelConfig::Hmc(Hmc::example())),
            temperatures: vec![1.5, 2.0],
        }
    }
}

/// The kernel of a [`TemperedTransitions`].
#[derive(Debug)]
struct Transitions {
    kernel: Box<dyn Kernel>,
    temperatures: Vec<f64>,
}

impl Transitions {
    /// One step at a rung from `x`, and the energies where it ends. Chains start anew there, so that a
    /// way and its reverse are alike.
    fn visit(&self, rung: &Rung, x: &Tensor, rng: &mut Stream) -> (Tensor, Tensor) {
        let state = rung.start(&*self.kernel, x, rng);
        let (state, _) = rung.step(&*self.kernel, state, &Found::default(), rng);
        let level = rung.level(&state, rng);
        (state.x, level)
    }
}

impl Kernel for Transitions {
    fn facts(&self) -> Facts {
        self.kernel.facts()
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        self.kernel.fits(space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        let mut state = ChainState::new(x);
        state.energy = Some(level(energy, &state.x, rng));
        state
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let rungs = rungs(energy, &ladder(&self.temperatures, s.x.device()));
        let level_x = s.energy.take().unwrap_or_else(|| level(energy, &s.x, rng));
        // The sum over pairs of neighbours of (1/T_i - 1/T_(i+1)) (E on the way up - E on the way down),
        // each E where the chain goes from one temperature to the other.
        let mut log_ratio = level_x.zeros_like();
        let cools: Vec<Tensor> = rungs
            .windows(2)
            .map(|pair| (pair[0].heat.reciprocal() - pair[1].heat.reciprocal()) / self.facts().temperature)
            .collect();
        let (mut y, mut level_y) = (s.x.shallow_clone(), level_x.shallow_clone());
        for (rung, cool) in rungs[1..].iter().zip(&cools) {
            log_ratio += &level_y * cool;
            (y, level_y) = self.visit(rung, &y, rng);
        }
        for (rung, cool) in rungs[1..].iter().zip(&cools).rev() {
            (y, level_y) = self.visit(rung, &y, rng);
            log_ratio -= &level_y * cool;
        }
        let (taken, probability) = test(&log_ratio, rng);
        s.x = choose(&taken, &y, &s.x);
        let energy = choose(&taken, &level_y, &level_x);
        s.step += 1;
        let info = StepInfo {
            accept_prob: Some(probability),
            energy: Some(energy.shallow_clone()),
            ..StepInfo::default()
        };
        s.energy = Some(energy);
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "tempered transitions through {:?} of {}",
            self.temperatures,
            self.kernel.words()
        )
    }

    fn has_temperatures(&self) -> bool {
        true
    }
}
