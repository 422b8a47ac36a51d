//! The replay buffer: chains that persist from one training step to the next.

mod by_class;
mod config;
mod replay;
mod slots;
mod storage;

pub use config::{BufferConfig, Replacement, Storage};
pub use replay::{BufferStats, Drawn, Origin, ReplayBuffer};
