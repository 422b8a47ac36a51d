//! How a pass through a network is meant.

/// How a pass is meant; an argument of each pass, so that nothing is ever left switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout zeroes, batch norm uses and records the batch's statistics, spectral norm iterates.
    Train,
    /// As in training, but nothing is recorded: running statistics and spectral norm's vectors stay as they are.
    TrainFrozenStats,
    /// A fixed function of the image; no buffer changes.
    Eval,
}
