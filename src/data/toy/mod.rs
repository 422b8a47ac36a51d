//! Toy densities on the plane: six sets of points as the literature draws them, within about [-4,
//! 4]^2.

mod checkerboard;
mod eight_gaussians;
mod numbers;
mod rings;
mod shapes;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::rng::Stream;

/// A density on the plane.
///
/// Forms follow the code of FFJORD (Grathwohl et al. 2019); sizes are such that [-4, 4]^2 holds all
/// but about a thousandth of the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Toy {
    /// Eight equal Gaussians of deviation 0.28 on a circle of radius 2.8.
    EightGaussians,
    /// Two half circles of radius 2 that reach into each other, with Gaussian noise of deviation
    /// 0.2.
    TwoMoons,
    /// Four equally likely circles of radii 0.8, 1.6, 2.4, 3.2, with radial Gaussian noise of
    /// deviation 0.12.
    Rings,
    /// Uniform on the eight squares of one colour of a board of 4 by 4 squares of side 2.
    Checkerboard,
    /// Five bent arms of a wheel.
    Pinwheel,
    /// One and a half turns of a spiral, with Gaussian noise of deviation 0.15.
    SwissRoll,
}

impl Toy {
    /// All of them.
    pub const ALL: [Toy; 6] = [
        Toy::EightGaussians,
        Toy::TwoMoons,
        Toy::Rings,
        Toy::Checkerboard,
        Toy::Pinwheel,
        Toy::SwissRoll,
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Toy::EightGaussians => "eight-gaussians",
            Toy::TwoMoons => "two-moons",
            Toy::Rings => "rings",
            Toy::Checkerboard => "checkerboard",
            Toy::Pinwheel => "pinwheel",
            Toy::SwissRoll => "swiss-roll",
        }
    }

    /// `n` independent points, `[n,2]`, f32 on the CPU.
    pub fn points(self, n: i64, rng: &mut Stream) -> Tensor {
        let points = match self {
            Toy::EightGaussians => eight_gaussians::points(n, rng),
            Toy::TwoMoons => shapes::two_moons(n, rng),
            Toy::Rings => rings::points(n, rng),
            Toy::Checkerboard => checkerboard::points(n, rng),
            Toy::Pinwheel => shapes::pinwheel(n, rng),
            Toy::SwissRoll => shapes::swiss_roll(n, rng),
        };
        points.to_kind(Kind::Float)
    }

    /// log p(x) of points `[n,2]`, `[n]`, f64 on their device, normalised; none where there is no
    /// closed form.
    ///
    /// It is -inf where there is no mass. The density of `rings` grows without bound at the origin;
    /// within 1e-12 of it the value at that distance is given.
    ///
    /// # Panics
    /// Where `x` is of another shape.
    pub fn log_density(self, x: &Tensor) -> Option<Tensor> {
        assert!(
            x.dim() == 2 && x.size()[1] == 2,
            "points are [n,2], found {:?}",
            x.size()
        );
        let x = x.to_kind(Kind::Double);
        match self {
            Toy::EightGaussians => Some(eight_gaussians::log_density(&x)),
            Toy::Rings => Some(rings::log_density(&x)),
            Toy::Checkerboard => Some(checkerboard::log_density(&x)),
            Toy::TwoMoons | Toy::Pinwheel | Toy::SwissRoll => None,
        }
    }
}
