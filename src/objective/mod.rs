//! What training minimises: a weighted sum of terms, a file each.
//!
//! A term is a type with its configuration, one `mod` line and one line in [`ObjectiveConfig`].

mod asks;
mod assignment;
mod chain_entropy;
mod chain_kl;
mod conditional;
mod contract;
mod contrastive;
mod cooperative;
mod cross_entropy;
mod denoising;
mod energy_discrepancy;
mod equilibrium_matching;
mod flow_matching;
mod generator;
mod inputs;
mod joint;
mod lines;
mod mixture;
mod multiscale;
mod nce;
mod noise;
mod noise_conditional;
mod normal;
mod recovery;
mod section;
mod sliced;
mod terms;

pub use asks::Asks;
pub use chain_entropy::{ChainEntropy, LEAST_DISTANCE, entropy_term};
pub use chain_kl::{ChainKl, kl_term};
pub use conditional::Conditional;
pub use contract::{Loss, Objective, Passes, Quantity};
pub use contrastive::{Contrastive, contrast};
pub use cooperative::{Cooperative, Squash};
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use denoising::Denoising;
pub use energy_discrepancy::EnergyDiscrepancy;
pub use equilibrium_matching::EquilibriumMatching;
pub use flow_matching::{FlowMatching, Pairing};
pub use generator::Generator;
pub use inputs::{Inputs, name};
pub use joint::Joint;
pub use mixture::{FittedMixture, MixtureNoise};
pub use multiscale::Multiscale;
pub use nce::Nce;
pub use noise::{BaseRun, NceNoise};
pub use noise_conditional::{Focus, NoiseConditional};
pub use recovery::Recovery;
pub use sliced::Sliced;
pub use terms::{Term, Terms};

use contract::ObjectiveSpec;
use terms::terms;

terms! {
    /// What training minimises: the weighted sum of the terms that are named.
    pub struct ObjectiveConfig: ObjectiveSpec {
        /// Minus log p(x), the model's samples in the place of its expectation.
        contrastive: Contrastive,
        /// Minus log p(y|x) of labelled states.
        cross_entropy: CrossEntropy,
        /// Minus log p(x|y) of labelled states.
        conditional: Conditional,
        /// Minus log p(x,y) of labelled states.
        joint: Joint,
        /// The energy that the last step of a chain reaches.
        chain_kl: ChainKl,
        /// How far apart chains end.
        chain_entropy: ChainEntropy,
        /// A generator that starts the chains and learns where they end.
        cooperative: Cooperative,
        /// Denoising score matching.
        denoising: Denoising,
        /// Denoising score matching over many noise levels with one energy.
        multiscale: Multiscale,
        /// Denoising score matching over many noise levels, of an energy that takes the level.
        noise_conditional: NoiseConditional,
        /// Maximum likelihood of states given noised versions of them.
        recovery: Recovery,
        /// Noise-contrastive estimation.
        nce: Nce,
        /// Sliced score matching.
        sliced: Sliced,
        /// Energy discrepancy.
        energy_discrepancy: EnergyDiscrepancy,
        /// Flow matching by the gradient of one energy.
        flow_matching: FlowMatching,
        /// A gradient that vanishes at the data.
        equilibrium_matching: EquilibriumMatching,
    }
}
