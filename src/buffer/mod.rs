//! The replay buffer: chains that persist from one training step to the next.

mod by_class;
mod replay;
mod slots;

pub use replay::{BufferStats, Drawn, Origin, ReplayBuffer};
