//! The Markov kernels, a file each.
//!
//! A kernel is a type with its configuration, one `mod` line and one line in [`KernelConfig`].

mod annealed_langevin;
mod annealing;
mod barker;
mod generalised_hmc;
mod hmc;
mod langevin;
mod mala;
mod nuts;
mod preconditioned;
mod predictor_corrector;
mod random_walk;
mod recovery;
mod stein;
mod tempered_transitions;
mod tempering;
mod transport;
mod underdamped;

pub use annealed_langevin::AnnealedLangevin;
pub use annealing::Annealing;
pub use barker::Barker;
pub use generalised_hmc::GeneralisedHmc;
pub use hmc::Hmc;
pub use langevin::{ChainSchedule, GradClip, InnerConfig, Langevin, LangevinConfig, StepPart};
pub use mala::Mala;
pub use nuts::Nuts;
pub use preconditioned::Preconditioned;
pub use predictor_corrector::{PredictorCorrector, Process};
pub use random_walk::RandomWalk;
pub use recovery::Recovery;
pub use stein::Stein;
pub use tempered_transitions::TemperedTransitions;
pub use tempering::Tempering;
pub use transport::Transport;
pub use underdamped::Underdamped;

use super::kernel::Kernel;
use crate::config::{Checker, kinds};
use crate::error::Result;

/// A kernel's section of a file: it says what is wrong with it, and what it builds.
pub(crate) trait KernelSpec {
    /// Checks every number; `c` stands at the section.
    ///
    /// # Errors
    /// The first fault found.
    fn check(&self, c: &Checker) -> Result<()>;

    /// The kernel for chains of `n_steps`, over which its schedules run, if it has any.
    fn build(&self, n_steps: usize) -> Box<dyn Kernel>;

    /// Numbers for a target of unit scale: what the reference shows, and the tests of all kernels
    /// run.
    fn example() -> Self
    where
        Self: Sized;
}

kinds! {
    /// How chains move: one kernel with its numbers.
    pub enum KernelConfig: KernelSpec {
        /// Unadjusted Langevin dynamics.
        Langevin(LangevinConfig),
        /// Langevin proposals that are accepted or rejected.
        Mala(Mala),
        /// Moves whose signs follow the gradient, accepted or rejected.
        Barker(Barker),
        /// Hamiltonian Monte Carlo.
        Hmc(Hmc),
        /// Hamiltonian Monte Carlo whose momenta live on.
        GeneralisedHmc(GeneralisedHmc),
        /// Hamiltonian Monte Carlo that finds the length of its trajectories.
        Nuts(Nuts),
        /// Random-walk Metropolis.
        RandomWalk(RandomWalk),
        /// Langevin dynamics with momenta.
        Underdamped(Underdamped),
        /// Langevin dynamics scaled by running squares of the gradient.
        Preconditioned(Preconditioned),
        /// Particles that move together without noise.
        Stein(Stein),
        /// Replicas at higher temperatures that swap states with the chain.
        Tempering(Tempering),
        /// Steps up a ladder of temperatures and down again.
        TemperedTransitions(TemperedTransitions),
        /// A temperature that falls along the chain.
        Annealing(Annealing),
        /// Langevin dynamics down the levels of noise of an energy.
        AnnealedLangevin(AnnealedLangevin),
        /// The reverse of a diffusion, with Langevin steps at each level.
        PredictorCorrector(PredictorCorrector),
        /// States recovered from noised ones, level by level.
        Recovery(Recovery),
        /// Descent from noise to the data, then Langevin steps.
        Transport(Transport),
    }
}

impl KernelConfig {
    /// The kernel for chains of `n_steps`, over which its schedules run; a longer chain keeps their
    /// last values.
    pub fn build(&self, n_steps: usize) -> Box<dyn Kernel> {
        self.spec().build(n_steps)
    }

    /// Checks every number; `c` stands at `sampler.kernel`.
    pub(crate) fn check(&self, c: &Checker) -> Result<()> {
        self.spec().check(&c.at(&self.word()))
    }
}
