//! Densities in 100 dimensions whose constants are known, and how often intervals of log Z hold them.

use ebm::energy::{Energy, EnergyGrad};
use ebm::rng::Stream;
use ebm::sampling::importance::{Base, Estimate, Importance};
use ebm::sampling::kernels::Hmc;
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

const DIMENSIONS: i64 = 100;
const CONSTANT: f64 = 3.5;
/// Independent chains of an estimate.
pub const CHAINS: i64 = 50;
/// Chains that find the step sizes.
const TUNING: i64 = 100;
/// The acceptance that they are to have.
const ACCEPT: f64 = 0.8;

/// A mixture of Gaussians with diagonal covariances; its energy is minus the logarithm of the density,
/// plus a constant.
pub struct Mixture {
    pub name: &'static str,
    /// Weights above 0 of the path to it.
    pub rungs: usize,
    /// `[K]`
    shares: Tensor,
    /// `[K,D]` each.
    means: Tensor,
    deviations: Tensor,
}

impl Mixture {
    /// A product of Gaussians whose deviations go from 0.5 to 2.
    pub fn unequal_scales() -> Self {
        let log = Tensor::linspace(0.5f64.ln(), 2f64.ln(), DIMENSIONS, (Kind::Float, Device::Cpu));
        Self {
            name: "unequal scales",
            rungs: 300,
            shares: Tensor::from_slice(&[1f32]),
            means: Tensor::full([1, DIMENSIONS], 0.3, (Kind::Float, Device::Cpu)),
            deviations: log.exp().unsqueeze(0),
        }
    }

    /// Three components of unequal shares and widths, two to three deviations apart: chains cross between
    /// them.
    pub fn overlapping() -> Self {
        let means = Tensor::zeros([3, DIMENSIONS], (Kind::Float, Device::Cpu));
        let _ = means.get(1).narrow(0, 0, 1).fill_(2.5);
        let _ = means.get(2).narrow(0, 1, 1).fill_(-2.0);
        let widths = Tensor::from_slice(&[1f32, 1.1, 0.95]).unsqueeze(1);
        Self {
            name: "mixture",
            rungs: 300,
            shares: Tensor::from_slice(&[0.5f32, 0.2, 0.3]),
            means,
            deviations: widths.repeat([1, DIMENSIONS]),
        }
    }

    /// The true log Z.
    pub fn log_z(&self) -> f64 {
        -CONSTANT
    }

    /// The distance of states `[B,D]` from each component in its deviations, `[B,K,D]`, and the
    /// logarithms of share times density, `[B,K]`.
    fn parts(&self, x: &Tensor) -> [Tensor; 2] {
        let from = (x.unsqueeze(1) - &self.means) / &self.deviations;
        let known = self.shares.log() - sum_each(&self.deviations.log());
        let known = known - 0.5 * (2.0 * std::f64::consts::PI).ln() * DIMENSIONS as f64;
        let squares = from.square().sum_dim_intlist([2i64].as_slice(), false, Kind::Float);
        [from, squares * -0.5 + known]
    }

    /// Exact draws, `[n,D]`.
    pub fn draw(&self, n: i64, rng: &mut Stream) -> Tensor {
        let at = rng.uniform(&[n, 1], 0.0, 1.0, Device::Cpu);
        let component =
            self.shares
                .cumsum(0, Kind::Float)
                .lt_tensor(&at)
                .sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        let component = component.clamp_max(self.shares.size()[0] - 1);
        let of = |t: &Tensor| t.index_select(0, &component);
        rng.normal(&[n, DIMENSIONS], Device::Cpu) * of(&self.deviations) + of(&self.means)
    }
}

impl Energy for Mixture {
    fn energy(&self, x: &Tensor) -> Tensor {
        let [_, logs] = self.parts(x);
        logs.logsumexp([1], false).neg() + CONSTANT
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let [from, logs] = self.parts(x);
        let pulls = from / &self.deviations * logs.softmax(1, Kind::Float).unsqueeze(2);
        Some(EnergyGrad {
            energy: logs.logsumexp([1], false).neg() + CONSTANT,
            grad: pulls.sum_dim_intlist([1i64].as_slice(), false, Kind::Float),
        })
    }
}

/// Estimates of log Z: the value and the ends of its interval.
pub type Bound = [f64; 3];

pub fn below(e: &Estimate, known: f64) -> Bound {
    [e.value + known, e.interval[0] + known, e.interval[1] + known]
}

pub fn above(e: &Estimate, known: f64) -> Bound {
    [known - e.value, known - e.interval[1], known - e.interval[0]]
}

pub fn hmc() -> Hmc {
    Hmc {
        step_size: 0.3,
        leapfrog_steps: 5,
        temperature: 1.0,
        mass: None,
        jitter: 0.2,
    }
}

pub const BASE: Base = Base::Gaussian { std: 1.2 };

/// Chains to the mixture whose step sizes are found.
pub fn path<'a>(mixture: &'a Mixture, kernel: &'a Hmc, rng: &mut Stream) -> Importance<'a> {
    let mut path = Importance::new(kernel, BASE, mixture, (&[DIMENSIONS], Device::Cpu), mixture.rungs);
    path.tune(TUNING, ACCEPT, rng);
    path
}

pub fn known() -> f64 {
    BASE.log_z(DIMENSIONS)
}

/// Bounds from below, and from above by chains that start from exact draws; each of so many is of
/// `CHAINS` chains of its own, and all share step sizes that other chains have found.
pub fn bounds(mixture: &Mixture, estimates: i64, rng: &mut Stream) -> [Vec<Bound>; 2] {
    let kernel = hmc();
    let path = path(mixture, &kernel, rng);
    let there = path.forwards(path.draw(estimates * CHAINS, rng), rng).log_weights;
    let back = path.backwards(mixture.draw(estimates * CHAINS, rng), rng).log_weights;
    let mut each = |log: &Tensor, bound: fn(&Estimate, f64) -> Bound| {
        let parts = log.split(CHAINS, 0);
        parts
            .iter()
            .map(|part| bound(&Estimate::of(part, rng), known()))
            .collect()
    };
    [each(&there, below), each(&back, above)]
}

/// How many intervals hold the truth; the mean error of the values and its standard error.
pub fn summary(bounds: &[Bound], truth: f64) -> (usize, f64, f64) {
    let held = bounds.iter().filter(|b| (b[1]..b[2]).contains(&truth)).count();
    let n = bounds.len() as f64;
    let mean = bounds.iter().map(|b| b[0] - truth).sum::<f64>() / n;
    let variance = bounds.iter().map(|b| (b[0] - truth - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (held, mean, (variance / n).sqrt())
}
