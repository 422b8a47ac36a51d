//! The targets, each of which the peer's script has as well.

use ebm::energy::Energy;
use ebm::space::sum_each;
use tch::{Kind, Tensor};

/// A target of a known shape.
pub trait Target {
    fn name(&self) -> &'static str;
    /// Numbers of a state.
    fn numbers(&self) -> i64;
    fn energy(&self) -> &dyn Energy;
}

/// All of them.
pub fn all() -> [Box<dyn Target>; 2] {
    [Box::new(Gaussian::new()), Box::new(Funnel)]
}

/// 50 numbers of deviations from 0.1 to 10, the i-th and the j-th correlated by 0.9^|i-j|.
struct Gaussian {
    deviations: Tensor,
}

const NUMBERS: i64 = 50;
const CORRELATION: f64 = 0.9;

impl Gaussian {
    fn new() -> Self {
        let exponents = Tensor::linspace(-1.0, 1.0, NUMBERS, (Kind::Float, tch::Device::Cpu));
        Self {
            deviations: (exponents * 10f64.ln()).exp(),
        }
    }
}

impl Energy for Gaussian {
    /// Of a chain z_1, z_i = c z_(i-1) + sqrt(1 - c^2) e_i of standard normal numbers e.
    fn energy(&self, x: &Tensor) -> Tensor {
        let z = x / &self.deviations;
        let (before, after) = (z.narrow(1, 0, NUMBERS - 1), z.narrow(1, 1, NUMBERS - 1));
        let rest = after - before * CORRELATION;
        sum_each(&rest.square()) * (0.5 / (1.0 - CORRELATION * CORRELATION)) + z.select(1, 0).square() * 0.5
    }
}

impl Target for Gaussian {
    fn name(&self) -> &'static str {
        "gaussian"
    }

    fn numbers(&self) -> i64 {
        NUMBERS
    }

    fn energy(&self) -> &dyn Energy {
        self
    }
}

/// Neal's funnel of ten numbers, not centred: v of variance 9, and nine numbers z of variance 1, where
/// the funnel itself is x = exp(v / 2) z.
struct Funnel;

impl Energy for Funnel {
    fn energy(&self, x: &Tensor) -> Tensor {
        let (v, z) = (x.select(1, 0), x.narrow(1, 1, 9));
        v.square() / 18.0 + sum_each(&z.square()) * 0.5
    }
}

impl Target for Funnel {
    fn name(&self) -> &'static str {
        "funnel"
    }

    fn numbers(&self) -> i64 {
        10
    }

    fn energy(&self) -> &dyn Energy {
        self
    }
}
