//! A model as energies see it: what it computes of a state, and what it can do beside that.

use tch::Tensor;

use super::{EnergyGrad, Head, Identity, Stages};
use crate::nn::Levels;

/// From the raw output of a part of a batch that begins at some state: what is summed, `[B]`, and
/// its gradient in the raw output.
pub type Slope<'a> = &'a dyn Fn(&Tensor, i64) -> [Tensor; 2];

/// A function from states to what energies are made of, in one form of its computation.
pub trait Outputs: std::fmt::Debug {
    /// What makes an energy of an output.
    fn head(&self) -> Head;

    /// A number each, `[B]`, or logits `[B,K]`, f32, of states `[B,..]`; differentiable in them.
    fn raw(&self, x: &Tensor) -> Tensor;

    /// The levels of noise that the function takes beside a state; without one it is of the lowest.
    fn levels(&self) -> Option<Levels> {
        None
    }

    /// [`raw`](Self::raw) at levels of noise, `[]` or `[B]`, of a function that takes them.
    fn raw_at(&self, _x: &Tensor, _sigma: &Tensor) -> Tensor {
        unreachable!("a function without levels of noise is not asked for one")
    }

    /// [`gradient`](Self::gradient) at levels of noise.
    fn gradient_at(&self, _x: &Tensor, _sigma: &Tensor, _slope: Slope) -> Option<EnergyGrad> {
        None
    }

    /// How many classes the logits tell apart; none where the output is a number each.
    fn classes(&self) -> Option<i64> {
        None
    }

    /// What `slope` gives, and its gradient in the states, by a faster way than autograd, where
    /// there is one; cut off from any graph.
    fn gradient(&self, _x: &Tensor, _slope: Slope) -> Option<EnergyGrad> {
        None
    }

    /// The raw output cut behind its first layer, where it can be.
    fn cut(&self) -> Option<&dyn Stages> {
        None
    }

    /// The most states that a gradient is taken of at once; none sets no limit.
    fn most(&self) -> Option<i64> {
        None
    }

    /// Whether a pass draws from torch's global generator.
    fn is_random(&self) -> bool {
        false
    }

    /// What tells this function from others, where it depends on no more than that.
    fn identify(&self) -> Option<Identity> {
        None
    }

    /// Whether batches may be joined into one pass: each state is computed by itself, and nothing is
    /// recorded.
    fn joins(&self) -> bool {
        true
    }

    /// The raw outputs of several batches, from one pass over all of them.
    fn raws(&self, batches: &[&Tensor]) -> Vec<Tensor> {
        if let [only] = batches {
            return vec![self.raw(only)];
        }
        let sizes: Vec<i64> = batches.iter().map(|x| x.size()[0]).collect();
        self.raw(&Tensor::cat(batches, 0)).split_with_sizes(sizes, 0)
    }
}
