//! What one state of a chain is, without the batch: its shape, and which values its numbers take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The states that an energy is a function of.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// The shape of one state: `[C,H,W]` of an image, `[D]` of a point.
    pub shape: Vec<i64>,
    /// The values of its numbers.
    pub values: Values,
}

/// Which values the numbers of a state take.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Values {
    /// Real numbers.
    Real,
    /// 0 and 1.
    Binary,
}

impl Space {
    /// Real numbers of a shape: what a shape stands for unless a file says else.
    pub fn of(shape: &[i64]) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Values::Real,
        }
    }

    /// The size of a batch of `n` states.
    pub fn batch(&self, n: i64) -> Vec<i64> {
        std::iter::once(n).chain(self.shape.iter().copied()).collect()
    }

    /// Channels, height and width where a state is an image: the one door to rooms that are about
    /// pictures.
    pub fn image(&self) -> Option<[i64; 3]> {
        self.shape[..].try_into().ok()
    }

    /// What states are called, for people.
    pub fn plural(&self) -> &'static str {
        match self.image() {
            Some(_) => "images",
            None => "points",
        }
    }

    /// The dimension where a state is a point, a row of numbers.
    pub fn point(&self) -> Option<i64> {
        match self.shape[..] {
            [dimension] => Some(dimension),
            _ => None,
        }
    }
}

/// One number a chain, `[B]`, in a shape that multiplies states like `x`.
pub fn each(per_chain: &Tensor, x: &Tensor) -> Tensor {
    let mut shape = vec![1; x.dim()];
    shape[0] = -1;
    per_chain.view(&shape[..])
}

/// Every dimension but that of the batch.
fn of_state(x: &Tensor) -> Vec<i64> {
    (1..x.dim() as i64).collect()
}

/// The sum over each state, `[B]`, of the kind of `x`.
pub fn sum_each(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(&of_state(x)[..], false, x.kind())
}

/// The Euclidean norm of each state, `[B]`.
pub fn norms(x: &Tensor) -> Tensor {
    x.norm_scalaropt_dim(2.0, &of_state(x)[..], false)
}
