//! What a run trains: the kinds of models, a file each.
//!
//! A kind is a type with its configuration, one `mod` line and one line in [`OtherModel`]; a network
//! is written without the name of its kind, as an architecture file has it.

mod compute;
mod compute_config;
mod contract;
mod density;
mod gaussian_mixture;
mod network;
mod section;

pub use compute::{Candidate, chain_form, kind_of, layout_of, resolve_auto, score_form};
pub use compute_config::{ComputeConfig, Layout, Precision};
pub use contract::{Form, FrozenModel, Model};
pub use density::Density;
pub use gaussian_mixture::GaussianMixture;
pub use section::ModelConfig;

use crate::config::kinds;
use contract::ModelSpec;

kinds! {
    /// A model that is no network.
    pub enum OtherModel: ModelSpec {
        /// A mixture of Gaussians, whose density is known with its constant.
        GaussianMixture(GaussianMixture),
    }
}
