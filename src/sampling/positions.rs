//! Where chains are, with the replicas at hotter temperatures that a kernel may keep for each.

use tch::Tensor;

use super::kernel::{ChainState, Kernel};
use crate::energy::Energy;
use crate::rng::Stream;

/// Where chains are, and their replicas.
#[derive(Debug)]
pub struct Positions {
    /// The chains, `[B,..]`, f32.
    pub x: Tensor,
    /// Their replicas at the hotter rungs, coldest first, `[B,..]` each; without any, a kernel that
    /// keeps replicas begins with copies of the chains.
    pub replicas: Vec<Tensor>,
}

impl Positions {
    /// Chains of a kernel here.
    pub(super) fn start(&self, kernel: &dyn Kernel, energy: &dyn Energy, rng: &mut Stream) -> ChainState {
        match &self.replicas[..] {
            [] => kernel.start(energy, &self.x, rng),
            replicas => kernel.start_with(energy, &self.x, replicas, rng),
        }
    }
}

impl From<Tensor> for Positions {
    fn from(x: Tensor) -> Self {
        Self {
            x,
            replicas: Vec::new(),
        }
    }
}

impl From<&Tensor> for Positions {
    fn from(x: &Tensor) -> Self {
        x.shallow_clone().into()
    }
}
