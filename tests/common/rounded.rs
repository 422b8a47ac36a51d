//! A Gaussian energy whose value and gradient are computed as a network's layers compute theirs, and what that may change.

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::{Langevin, run_chain};
use ebm::sampling::{LangevinConfig, StepPart};
use tch::{Device, Kind, Tensor};

/// `WEIGHT` |x|^2 / 2, in `kind` between an image and its energy in f32: a normal distribution of variance 1 / `WEIGHT`.
pub struct RoundedGaussian {
    pub kind: Kind,
}

/// A number that bf16 holds exactly, so that the energy is the same in both precisions and the rounding of pixels and
/// products alone differs.
pub const WEIGHT: f64 = 10.0;

impl Energy for RoundedGaussian {
    fn energy(&self, x: &Tensor) -> Tensor {
        let x = x.to_kind(self.kind);
        let squares = &x * &x * (WEIGHT / 2.0);
        let energies = squares.to_kind(Kind::Float);
        energies.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float)
    }
}

impl RoundedGaussian {
    /// How far, relatively, a gradient may be from `WEIGHT` x.
    ///
    /// A pixel is rounded to the kind (1). Each of the two factors of its square gets `WEIGHT` / 2 times the other as its
    /// gradient, rounded (2); the two are equal, so that their sum is exact. A rounding changes a number by half a unit of
    /// its last place at most, a share of 2^-p where p is the number of bits of a mantissa, the leading one included.
    pub fn rounding(&self) -> f64 {
        let bits = if self.kind == Kind::BFloat16 { 8 } else { 24 };
        (1.0 + 0.5f64.powi(bits)).powi(2) - 1.0
    }

    /// The variance of a stationary chain with steps of h = step_size * `WEIGHT`, whose gradients are (1 + error) times the
    /// right ones at every x: what remains of x after a step is c = 1 - h (1 + error), the noise has the variance
    /// s^2 = 2 h / `WEIGHT`, and V = c^2 V + s^2, or V = c^2 (V + s^2) where the noise comes first.
    pub fn variance(h: f64, error: f64, order: [StepPart; 2]) -> f64 {
        let (kept, noise) = ((1.0 - h * (1.0 + error)).powi(2), 2.0 * h / WEIGHT);
        match order[0] {
            StepPart::Noise => kept * noise / (1.0 - kept),
            _ => noise / (1.0 - kept),
        }
    }

    /// Between what shares of the exact variance that of a chain in this kind lies.
    ///
    /// Where errors stay within +-e, whatever their signs at each x, E[(1 - h (1 + error(x)))^2 x^2] lies between the two
    /// values of c^2 at +-e times E[x^2], so V lies between the two variances at +-e (for h (1 + e) < 1).
    pub fn bounds(&self, h: f64, order: [StepPart; 2]) -> [f64; 2] {
        let exact = Self::variance(h, 0.0, order);
        [self.rounding(), -self.rounding()].map(|e| Self::variance(h, e, order) / exact)
    }

    /// The variance of Langevin chains over the exact one for steps of that size, and its standard error: of 262,144 pixels
    /// at `looks` times, far enough apart.
    pub fn measure(&self, h: f64, order: [StepPart; 2], looks: usize) -> [f64; 2] {
        let exact = Self::variance(h, 0.0, order);
        // The correlation of squares has fallen to 0.0005 by then.
        let apart = (0.0005f64.ln() / (1.0 - h).ln() / 2.0).ceil() as usize;
        let kernel = Langevin::new(&sampler(h / WEIGHT, order), apart);
        let mut rng = Stream::new(1, "rounded");
        let mut x = rng.normal(&[4096, 1, 8, 8], Device::Cpu) * exact.sqrt();
        let mut move_on = |x: Tensor| run_chain(&kernel, self, x, apart, &mut rng).x;
        // The start has the exact variance; what rounding makes of it comes with the first of these.
        x = move_on(x);
        let mut sum = 0.0;
        for _ in 0..looks {
            x = move_on(x);
            sum += x.square().mean(Kind::Double).double_value(&[]);
        }
        let values = (looks * x.numel()) as f64;
        // The mean is known to be 0, and the square of a normal number of variance v has the variance 2 v^2.
        [sum / looks as f64 / exact, (2.0 / values).sqrt()]
    }
}

/// Chains at temperature 1 without limits.
fn sampler(step_size: f64, order: [StepPart; 2]) -> LangevinConfig {
    let text = format!("{{step_size: {step_size}}}");
    let file = Path::new("rounded.yaml");
    let plain: LangevinConfig = yaml::typed(yaml::parse(&text, file).unwrap(), file).unwrap();
    LangevinConfig {
        order: Some(order.into()),
        ..plain
    }
}
