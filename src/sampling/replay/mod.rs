//! The replay buffer: chains that persist from one training step to the next.

mod buffer;
mod by_class;
mod config;
mod slots;
mod storage;

pub use buffer::{BufferStats, Drawn, Origin, ReplayBuffer};
pub use config::{BufferConfig, Replacement, Storage};
