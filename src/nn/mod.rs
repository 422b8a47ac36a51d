//! An architecture file becomes a network: a live one to train, and a frozen copy that chains run on.
//!
//! A layer is added in three arms: its variant in [`Layer`], its shapes and tensors in
//! `build.rs` (by way of `layers.rs` and `residual.rs`), its arithmetic in `forward.rs`. Counts, names, loading and
//! freezing follow from those; a layer whose gradient in the image can be had for less than autograd asks gets a fourth arm, in
//! `gradient.rs`.

mod build;
mod builder;
mod config;
mod forward;
mod frozen;
mod gradient;
mod init;
mod layers;
mod layout;
mod levels;
mod mode;
mod network;
mod normalize;
mod plan;
pub mod rename;
mod repeat;
mod residual;
mod scaling;
mod size;
mod spectral;
mod strict;
mod summary;

pub use config::{
    Conv, Init, Join, Layer, Linear, NetworkConfig, Norm, Normalize, Output, Pool, Repeat, Residual, SpectralNorm,
    Subsample, Unflatten, Upsample,
};
pub use frozen::Frozen;
pub use layout::Layout;
pub use levels::{LevelForm, Levels};
pub use mode::Mode;
pub use network::Network;
pub use summary::{Row, Summary, describe, thousands};
