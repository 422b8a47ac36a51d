//! Annealed importance sampling: log Z of a density along a path from one that is known.

mod base;
mod estimate;

use tch::{Device, Kind, Tensor, no_grad_guard};

use super::kernel::Kernel;
use crate::energy::{Energy, Path, Tempered};
use crate::rng::Stream;

pub use base::Base;
pub use estimate::Estimate;

/// Steps at the base before the step size is followed along the path.
const SETTLING: usize = 50;
/// How fast the logarithm of the step size follows the acceptance.
const GAIN: f64 = 0.1;

/// Chains that go along a path by a kernel, one step at each of its weights.
///
/// The kernel starts anew in each step, and is to leave its target as it is from such a start. Those that
/// accept or reject do; one with replicas does not, for they start as copies of their chain.
pub struct Importance<'a> {
    kernel: &'a dyn Kernel,
    base: Base,
    /// Minus the logarithm of the density, up to the constant that is sought.
    energy: &'a dyn Energy,
    shape: Vec<i64>,
    device: Device,
    /// From 0 to 1, `rungs + 1` of them.
    weights: Vec<f64>,
    /// The step size at each weight above 0, `[rungs]`, f32, where they were found.
    steps: Option<Tensor>,
}

/// What chains found on their way.
#[derive(Debug)]
pub struct Way {
    /// The logarithms of their weights, f64 `[N]`.
    pub log_weights: Tensor,
    /// Where they ended, `[N,..]`.
    pub x: Tensor,
    /// The slope of the path at each weight, its mean and variance over the chains by their weights
    /// until there, f64 `[rungs + 1]` each, in the order of the way.
    pub slopes: [Tensor; 2],
    /// The mean acceptance, `[]`, of a kernel that tells it.
    pub accept: Option<Tensor>,
}

/// log Z from below, from above, and by another rule.
#[derive(Debug, Clone, Copy)]
pub struct LogZ {
    /// By chains from the base: at most log Z in expectation (Neal 2001).
    pub lower: Estimate,
    /// By chains back from the ends of the others: at least log Z in expectation where those ends are
    /// draws of the density (Grosse et al. 2015).
    pub upper: Estimate,
    /// By thermodynamic integration of the slopes on the way there.
    pub thermodynamic: f64,
    /// The mean acceptance on the way there.
    pub accept: Option<f64>,
}

impl<'a> Importance<'a> {
    /// Chains over `rungs` weights above 0, from the base to exp(-`energy`) of states of this shape.
    ///
    /// # Panics
    /// For no rung, and for a kernel that goes through temperatures itself.
    pub fn new(
        kernel: &'a dyn Kernel,
        base: Base,
        energy: &'a dyn Energy,
        (shape, device): (&[i64], Device),
        rungs: usize,
    ) -> Self {
        assert!(rungs > 0, "a path has a rung");
        assert!(!kernel.has_temperatures(), "a kernel of one temperature");
        Self {
            kernel,
            base,
            energy,
            shape: shape.to_vec(),
            device,
            weights: weights(rungs),
            steps: None,
        }
    }

    /// Finds a step size for each weight by chains that go the way once and are not looked at again: it
    /// follows a wanted acceptance. Does nothing for a kernel without a step size.
    pub fn tune(&mut self, chains: i64, accept: f64, rng: &mut Stream) {
        let Some(own) = self.kernel.step_size() else {
            return;
        };
        let (from, to) = (self.base.energy(), self.base.target(self.energy));
        let path = Path::new(&*from, &*to);
        let mut x = self.draw(chains, rng);
        let mut log = Tensor::full([0i64; 0], own.ln(), (Kind::Float, self.device));
        let mut found = Vec::new();
        let settling = std::iter::repeat_n(0.0, SETTLING);
        for (k, weight) in settling.chain(self.weights[1..].iter().copied()).enumerate() {
            path.go_to(weight);
            let (next, told) = self.step(&path, &x, Some(log.exp()), rng);
            x = next;
            let told = told.expect("a kernel with a step size tells its acceptance");
            log += (told.mean(Kind::Float) - accept) * GAIN;
            if k >= SETTLING {
                found.push(log.exp());
            }
        }
        self.steps = Some(Tensor::stack(&found, 0));
    }

    /// log Z by so many chains each way.
    pub fn log_z(&self, chains: i64, rng: &mut Stream) -> LogZ {
        let there = self.forwards(self.draw(chains, rng), rng);
        let (start, ancestors) = self.spread(&there, rng);
        let back = self.backwards(start, rng);
        let known = self.base.log_z(self.shape.iter().product());
        LogZ {
            lower: Estimate::of(&there.log_weights, rng).shifted(known),
            upper: Estimate::of_groups(&back.log_weights, &ancestors, rng).mirrored(known),
            thermodynamic: known - self.integral(&there.slopes),
            accept: there.accept.map(|accept| accept.double_value(&[])),
        }
    }

    /// Exact draws of the base, `[chains,..]`.
    pub fn draw(&self, chains: i64, rng: &mut Stream) -> Tensor {
        let size: Vec<i64> = std::iter::once(chains).chain(self.shape.iter().copied()).collect();
        self.base.draw(&size, self.device, rng)
    }

    /// From draws of the base to the density. The mean of the weights is Z over that of the base.
    pub fn forwards(&self, x: Tensor, rng: &mut Stream) -> Way {
        let all: Vec<usize> = (0..self.weights.len()).collect();
        self.go(x, &all, rng)
    }

    /// From draws of the density back to the base. The mean of the weights is Z of the base over Z.
    pub fn backwards(&self, x: Tensor, rng: &mut Stream) -> Way {
        let all: Vec<usize> = (0..self.weights.len()).rev().collect();
        self.go(x, &all, rng)
    }

    /// Through the weights of these numbers: the chains are draws at the first, and make a step at each
    /// further one.
    fn go(&self, mut x: Tensor, numbers: &[usize], rng: &mut Stream) -> Way {
        let _guard = no_grad_guard();
        let (from, to) = (self.base.energy(), self.base.target(self.energy));
        let path = Path::new(&*from, &*to);
        let slope = |x: &Tensor| path.slope(x).to_kind(Kind::Double);
        let mut log_weights = Tensor::zeros(&x.size()[..1], (Kind::Double, self.device));
        let mut at = slope(&x);
        let (mut slopes, mut accepted) = (vec![weighted(&at, &log_weights)], Vec::new());
        for pair in numbers.windows(2) {
            let (before, next) = (self.weights[pair[0]], self.weights[pair[1]]);
            log_weights -= &at * (next - before);
            path.go_to(next);
            let step = self.steps.as_ref().map(|steps| steps.get(pair[1].max(1) as i64 - 1));
            let (moved, told) = self.step(&path, &x, step, rng);
            x = moved;
            accepted.extend(told.map(|t| t.mean(Kind::Float)));
            at = slope(&x);
            slopes.push(weighted(&at, &log_weights));
        }
        Way {
            log_weights,
            x,
            slopes: [0, 1].map(|i| Tensor::stack(&slopes, 0).select(1, i)),
            accept: (!accepted.is_empty()).then(|| Tensor::stack(&accepted, 0).mean(Kind::Float)),
        }
    }

    /// One step by the kernel at the path's weight: where it leads, and the acceptance.
    fn step(&self, path: &Path, x: &Tensor, size: Option<Tensor>, rng: &mut Stream) -> (Tensor, Option<Tensor>) {
        // The kernel draws from exp(-E/T) of its own T.
        let energy = Tempered {
            energy: path,
            temperature: self.kernel.facts().temperature.recip(),
        };
        let mut state = self.kernel.start(&energy, x, rng);
        state.step_size = size;
        let (state, info) = self.kernel.step(&energy, state, rng);
        (state.x, info.accept_prob)
    }

    /// States drawn from the ends of a way there by their weights, and moved on by a tenth of its
    /// steps, so that those of one end part; and the number of each one's end, i64 `[N]`.
    fn spread(&self, there: &Way, rng: &mut Stream) -> (Tensor, Tensor) {
        let shares = there.log_weights.softmax(0, Kind::Double);
        rng.seed_next();
        let ancestors = shares.multinomial(shares.size()[0], true);
        let mut x = there.x.index_select(0, &ancestors);
        let (from, to) = (self.base.energy(), self.base.target(self.energy));
        let path = Path::new(&*from, &*to);
        path.go_to(1.0);
        let last = self.steps.as_ref().map(|steps| steps.get(-1));
        for _ in 0..self.weights.len().div_ceil(10) {
            let step = last.as_ref().map(Tensor::shallow_clone);
            x = self.step(&path, &x, step, rng).0;
        }
        (x, ancestors)
    }

    /// The integral of the slopes over the weight, by the trapezoidal rule with the correction by
    /// their derivatives, which are minus the variances (Friel, Hurn & Wyse 2014).
    fn integral(&self, slopes: &[Tensor; 2]) -> f64 {
        let host = |t: &Tensor| Vec::<f64>::try_from(t.to_device(Device::Cpu).contiguous()).expect("a vector");
        let [means, variances] = slopes.each_ref().map(host);
        let pairs = self.weights.windows(2).zip(means.windows(2).zip(variances.windows(2)));
        let each = pairs.map(|(w, (s, v))| {
            let h = w[1] - w[0];
            h * (s[0] + s[1]) / 2.0 + h * h * (v[1] - v[0]) / 12.0
        });
        each.sum()
    }
}

/// The mean and the variance of values `[N]` by weights whose logarithms these are, `[2]`.
fn weighted(values: &Tensor, log_weights: &Tensor) -> Tensor {
    let shares = log_weights.softmax(0, Kind::Double);
    let mean = values.dot(&shares);
    let variance = (values - &mean).square().dot(&shares);
    Tensor::stack(&[mean, variance], 0)
}

/// Weights from 0 to 1 that are close to each other at both ends: a logistic curve from -4 to 4,
/// stretched to end at 0 and 1 (Wu et al. 2017).
fn weights(rungs: usize) -> Vec<f64> {
    let curve = |k: usize| 1.0 / (1.0 + (-4.0 * (2.0 * k as f64 / rungs as f64 - 1.0)).exp());
    let (low, high) = (curve(0), curve(rungs));
    let inner = (1..rungs).map(|k| (curve(k) - low) / (high - low));
    std::iter::once(0.0).chain(inner).chain(std::iter::once(1.0)).collect()
}
