//! The no-U-turn sampler.

mod tree;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::hamiltonian::{Masses, Phase, check, fit, stride};
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::{carried, started};
use crate::space::{Space, norms};
use tree::Tree;

/// Hamiltonian Monte Carlo that goes on until it turns round: a trajectory doubles forwards or
/// backwards in time, by chance, until its ends come closer again, and the next state is drawn from it
/// in proportion to exp(-H), with a preference for its last half (Hoffman & Gelman 2014; Betancourt
/// 2017; the iterative form of Phan et al. 2019).
///
/// It leaves exp(-E/T) exactly as it is. A step costs up to 2^max_depth - 1 gradients, of which each
/// chain of the batch takes as many as its own trajectory needs; the batch waits for the longest. A
/// mean acceptance of 0.8 over a trajectory is usual.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nuts {
    /// The size of a leapfrog step.
    pub step_size: f64,
    /// The most doublings of a trajectory, at most 20.
    #[serde(default = "ten")]
    pub max_depth: usize,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
    /// The mass of each number of a state: one for all, or as many as a state has numbers, best near
    /// 1 / variance. Null is 1, or what a warm-up
    /// with `mass` finds.
    #[serde(default)]
    pub mass: Masses,
}

fn ten() -> usize {
    10
}

impl KernelSpec for Nuts {
    fn check(&self, c: &Checker) -> Result<()> {
        check(c, self.step_size, self.temperature, &self.mass)?;
        c.ensure(
            (1..=20).contains(&self.max_depth),
            "max_depth",
            self.max_depth,
            "a number from 1 to 20",
        )
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.5,
            max_depth: 5,
            temperature: 1.0,
            mass: None,
        }
    }
}

impl Kernel for Nuts {
    fn facts(&self) -> Facts {
        Facts::exact(self.temperature, Needs::Gradients)
    }

    fn fits(&self, space: &Space) -> std::result::Result<(), String> {
        fit(&self.mass, space)
    }

    fn start(&self, energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
        started(energy, x, rng)
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let at_x = carried(energy, &mut s, rng);
        let stride = stride(self.step_size, &self.mass, &s);
        let mut tree = Tree::new(Phase::drawn(&s.x, at_x, rng), self.temperature);
        for depth in 0..self.max_depth {
            if !tree.double(energy, &stride, depth, rng) {
                break;
            }
        }
        let (x, at_x) = (tree.proposal.x, tree.proposal.at_x);
        let info = StepInfo {
            accept_prob: Some(&tree.accepted / &tree.leaves),
            grad_norm: Some(norms(&at_x.grad)),
            energy: Some(at_x.energy.shallow_clone()),
            gradients: Some(tree.leaves),
            ..StepInfo::default()
        };
        (s.x, s.energy, s.grad) = (x, Some(at_x.energy), Some(at_x.grad));
        s.step += 1;
        (s, info)
    }

    fn words(&self) -> String {
        format!(
            "the no-U-turn sampler, step_size {}, up to {} doublings",
            self.step_size, self.max_depth
        )
    }

    fn step_size(&self) -> Option<f64> {
        Some(self.step_size)
    }

    fn has_masses(&self) -> bool {
        self.mass.is_some()
    }
}
