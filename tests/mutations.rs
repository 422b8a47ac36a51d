//! Damaged input of a fixed seed: no panic, no signal, no hang, no silent wrong result.
//!
//! The short form runs with the other tests. `EBM_MUTATIONS=long` runs every case,
//! `EBM_MUTATIONS=NUMBER` one.

mod common;

#[path = "mutations/bytes.rs"]
mod bytes;
#[path = "mutations/checkpoint_cases.rs"]
mod checkpoint_cases;
#[path = "mutations/checkpoints.rs"]
mod checkpoints;
#[path = "mutations/forge.rs"]
mod forge;
#[path = "mutations/headers.rs"]
mod headers;
#[path = "mutations/pictures.rs"]
mod pictures;
#[path = "mutations/plan.rs"]
mod plan;
#[path = "mutations/process.rs"]
mod process;
#[path = "mutations/scoring.rs"]
mod scoring;
#[path = "mutations/sources.rs"]
mod sources;
#[path = "mutations/texts.rs"]
mod texts;
#[path = "mutations/trees.rs"]
mod trees;
#[path = "mutations/yaml.rs"]
mod yaml;
