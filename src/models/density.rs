//! A density that is known with its constant and can be drawn from: what a model may be, and what
//! noise is.

use tch::{Device, Tensor};

use crate::rng::Stream;

/// A normalised density of states that independent draws can be made from.
pub trait Density: std::fmt::Debug {
    /// log q(x) of states `[B,..]`, `[B]`: its exponential integrates to 1.
    fn log(&self, x: &Tensor) -> Tensor;

    /// Independent states, f32, as many and of the shape that `size`, `[n,..]`, says.
    fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor;
}
