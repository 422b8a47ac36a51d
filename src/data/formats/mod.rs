//! Readers of the files that images and labels lie in.

pub mod cifar;
pub(super) mod detect;
pub(super) mod folder;
pub(super) mod idx;
mod mat;
pub(super) mod npy;
pub(super) mod picture;
pub(super) mod stack;
pub(super) mod svhn;
