//! Stein variational gradient descent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::KernelSpec;
use crate::config::Checker;
use crate::energy::Energy;
use crate::error::Result;
use crate::rng::Stream;
use crate::sampling::kernel::{ChainState, Facts, Kernel, Needs, StepInfo};
use crate::sampling::metropolis::look;
use crate::space::norms;

/// All chains of a batch move together, without noise: x_i goes by step_size times the mean over j of
/// k(x_j, x_i) (-g_j / T) + dk(x_j, x_i)/dx_j, with g = dE/dx and k(x, y) = exp(-|x - y|^2 / bandwidth)
/// (Liu & Wang 2016).
///
/// The first part draws particles to low energies, the second keeps them apart. One particle alone
/// finds a minimum. A step costs a gradient for each particle, and memory for the square of their
/// number. In the limit of many particles exp(-E/T) stays as it is; few give too small a variance,
/// the more so in high dimension. `ebm sample` moves 250 at a time, so that each 250 are one such set.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stein {
    /// The factor of a move.
    pub step_size: f64,
    /// The squared length over which particles see each other; null takes, at each step, the median
    /// of the squared distances of pairs over log(B + 1), for B particles.
    #[serde(default)]
    pub bandwidth: Option<f64>,
    /// T of the target exp(-E/T).
    #[serde(default = "crate::config::one")]
    pub temperature: f64,
}

impl KernelSpec for Stein {
    fn check(&self, c: &Checker) -> Result<()> {
        c.positive("step_size", self.step_size)?;
        c.positive("temperature", self.temperature)?;
        match self.bandwidth {
            Some(bandwidth) => c.positive("bandwidth", bandwidth),
            None => Ok(()),
        }
    }

    fn build(&self, _: usize) -> Box<dyn Kernel> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self {
            step_size: 0.5,
            bandwidth: None,
            temperature: 1.0,
        }
    }
}

impl Stein {
    /// The direction of each particle of `x`, `[B,D]`, with gradients `grad`.
    fn direction(&self, x: &Tensor, grad: &Tensor) -> Tensor {
        let n = x.size()[0] as f64;
        // Distances by differences, not by products, so that a particle is at 0 from itself.
        let squares = Tensor::cdist(x, x, 2.0, 2).square();
        let bandwidth = match self.bandwidth {
            Some(bandwidth) => Tensor::full([0i64; 0], bandwidth, (Kind::Float, x.device())),
            None => own_bandwidth(x),
        };
        let near = (squares.neg() / &bandwidth).exp();
        let total = near.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let apart = (x * total - near.matmul(x)) * (bandwidth.reciprocal() * 2.0);
        (apart - near.matmul(grad) / self.temperature) / n
    }
}

/// The median of the squared distances of pairs over log(B + 1), `[]`.
fn own_bandwidth(x: &Tensor) -> Tensor {
    let particles = x.size()[0];
    if particles == 1 {
        return Tensor::ones([0i64; 0], (Kind::Float, x.device()));
    }
    let squares = x.pdist(2.0).square();
    // Where most particles coincide, the others say what is far.
    let floor = squares.mean(Kind::Float) * 1e-3 + 1e-12;
    squares.median().maximum(&floor) / ((particles + 1) as f64).ln()
}

impl Kernel for Stein {
    fn facts(&self) -> Facts {
        Facts {
            random: false,
            coupled: true,
            ..Facts::of(self.temperature, Needs::Gradients)
        }
    }

    fn step(&self, energy: &dyn Energy, mut s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        let found = look(energy, &s.x, rng);
        let flat = |t: &Tensor| t.flatten(1, -1);
        let direction = self.direction(&flat(&s.x), &flat(&found.grad));
        s.x = &s.x + direction.view_as(&s.x) * self.step_size;
        s.step += 1;
        let info = StepInfo {
            grad_norm: Some(norms(&found.grad)),
            ..StepInfo::default()
        };
        (s, info)
    }

    fn words(&self) -> String {
        format!("Stein variational gradient descent, step_size {}", self.step_size)
    }
}
