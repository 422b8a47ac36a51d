//! How a command ends.

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0
    Done,
    /// 1: part of the work failed.
    Failed,
    /// 3: training diverged.
    Diverged,
    /// 4: an image is out of distribution.
    OutOfDistribution,
    /// 130: Ctrl-C.
    Interrupted,
}
