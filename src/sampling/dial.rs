//! The step size of a kernel: fixed, or on the device where a warm-up writes it.

use tch::Tensor;

use super::kernel::ChainState;
use crate::space::each;

/// A factor of states.
#[derive(Debug)]
pub(super) enum Dial {
    /// A number of the host.
    Fixed(f64),
    /// On the device, in a shape that multiplies states.
    Tuned(Tensor),
}

impl Dial {
    /// The step size of a kernel whose proposals go so far, in units of each number's scale: `fixed`,
    /// unless a warm-up has set another.
    pub fn length(fixed: f64, state: &ChainState) -> Self {
        let scale = state.scale.as_ref().map(Tensor::shallow_clone);
        Self::found(fixed, state, scale)
    }

    /// The same of a kernel whose step size is a time, so that lengths go with its root.
    pub fn time(fixed: f64, state: &ChainState) -> Self {
        Self::found(fixed, state, state.scale.as_ref().map(Tensor::square))
    }

    fn found(fixed: f64, state: &ChainState, factor: Option<Tensor>) -> Self {
        let step = match &state.step_size {
            None => Self::Fixed(fixed),
            Some(tuned) => Self::Tuned(tuned.shallow_clone()),
        };
        match factor {
            None => step,
            Some(factor) => step.by(&factor),
        }
    }

    /// The number times a factor that multiplies states.
    pub fn by(&self, factor: &Tensor) -> Self {
        Self::Tuned(self.times(factor))
    }

    /// Each chain's own multiple, `[B]`, of the number, for states like `x`.
    pub fn times_each(&self, factors: &Tensor, x: &Tensor) -> Self {
        self.by(&each(factors, x))
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
