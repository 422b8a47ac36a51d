//! Random changes that training makes to images and to chains.

mod augment;
mod colour;
mod crop;
mod replay_augment;

pub use augment::augment;
pub use colour::ColourChange;
pub use crop::ResizedCrop;
pub use replay_augment::replay_augment;
