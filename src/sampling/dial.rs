//! A number of a kernel that is fixed, or lies on the device where a warm-up writes it.

use tch::Tensor;

use super::kernel::ChainState;
use crate::space::each;

/// A factor of states.
#[derive(Debug)]
pub(super) enum Dial {
    /// A number of the host.
    Fixed(f64),
    /// On the device, `[]`, or a number a chain in a shape that multiplies states.
    Tuned(Tensor),
}

impl Dial {
    /// The step size of these chains: `fixed`, unless a warm-up has set another.
    pub fn step_size(fixed: f64, state: &ChainState) -> Self {
        match &state.step_size {
            None => Self::Fixed(fixed),
            Some(tuned) => Self::Tuned(tuned.shallow_clone()),
        }
    }

    /// Each chain's own multiple, `[B]`, of the number, for states like `x`.
    pub fn times_each(self, factors: &Tensor, x: &Tensor) -> Self {
        Self::Tuned(self.times(&each(factors, x)))
    }

    /// The number times `x`.
    pub fn times(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Fixed(number) => x * *number,
            Self::Tuned(number) => x * number,
        }
    }

    /// `x` over the number.
    pub fn divide(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Fixed(number) => x / *number,
            Self::Tuned(number) => x / number,
        }
    }

    /// A multiple of it.
    pub fn scaled(&self, by: f64) -> Self {
        match self {
            Self::Fixed(number) => Self::Fixed(number * by),
            Self::Tuned(number) => Self::Tuned(number * by),
        }
    }

    /// Its square root.
    pub fn root(&self) -> Self {
        match self {
            Self::Fixed(number) => Self::Fixed(number.sqrt()),
            Self::Tuned(number) => Self::Tuned(number.sqrt()),
        }
    }
}
