//! Targets that are known in closed form, and what holds kernels to them.

use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::diagnostics::mcse_mean;
use ebm::sampling::{Kernel, KernelConfig, run_chain_watched};
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

pub const SIGMAS: f64 = 5.0;

/// A correlated Gaussian over the first two numbers of a state; the others are N(0, 1).
pub struct Correlated;

pub const MEAN: [f64; 2] = [1.0, -0.5];
/// xx, xy, yy
pub const COVARIANCE: [f64; 3] = [1.2, 0.5, 0.6];

impl Energy for Correlated {
    fn energy(&self, x: &Tensor) -> Tensor {
        let x = x.flatten(1, -1);
        let (a, b) = (x.select(1, 0) - MEAN[0], x.select(1, 1) - MEAN[1]);
        let [xx, xy, yy] = COVARIANCE;
        let pair = (a.square() * yy - &a * &b * (2.0 * xy) + b.square() * xx) / (2.0 * (xx * yy - xy * xy));
        pair + sum_each(&x.narrow(1, 2, x.size()[1] - 2).square()) * 0.5
    }
}

/// Two modes of deviation 0.8 at -1 and 1.5, of weights 0.3 and 0.7, in each number.
pub struct Bimodal;

pub const MODES: [(f64, f64); 2] = [(-1.0, 0.3), (1.5, 0.7)];
pub const WIDTH: f64 = 0.8;

impl Energy for Bimodal {
    fn energy(&self, x: &Tensor) -> Tensor {
        let log = MODES.map(|(at, weight)| (x - at).square() * (-0.5 / WIDTH.powi(2)) + weight.ln());
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }

    /// With noise of one level for all states.
    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(Noised(sigma.double_value(&[0; 1][..sigma.dim()]))))
    }
}

/// `Bimodal` with noise.
struct Noised(f64);

impl Energy for Noised {
    fn energy(&self, x: &Tensor) -> Tensor {
        let variance = WIDTH.powi(2) + self.0.powi(2);
        let log = MODES.map(|(at, weight)| (x - at).square() * (-0.5 / variance) + weight.ln());
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }
}

/// N(0, 1) cut off above 0.5: what lies beyond has an infinite energy.
pub struct Walled;

pub const WALL: f64 = 0.5;

impl Energy for Walled {
    fn energy(&self, x: &Tensor) -> Tensor {
        let inside = x.square() * 0.5;
        sum_each(&inside.where_self(&x.le(WALL), &Tensor::from(f32::INFINITY)))
    }
}

/// A function of states and its mean.
pub type Mean = (fn(&Tensor) -> Tensor, f64);

/// A target with exact draws and the means of some functions, at a temperature.
pub struct Target {
    pub name: &'static str,
    pub energy: Box<dyn Energy>,
    pub temperature: f64,
    pub draw: fn(&[i64], f64, &mut Stream) -> Tensor,
    /// Functions of states `[B,..]`, `[B]` each, and their means at the temperature.
    pub means: Vec<Mean>,
}

pub fn first(x: &Tensor) -> Tensor {
    x.flatten(1, -1).select(1, 0)
}

pub fn second(x: &Tensor) -> Tensor {
    x.flatten(1, -1).select(1, 1)
}

pub fn correlated(temperature: f64) -> Target {
    let [xx, xy, yy] = COVARIANCE.map(|c| c * temperature);
    Target {
        name: "correlated",
        energy: Box::new(Correlated),
        temperature,
        draw: |size, temperature, rng| {
            let [xx, xy, yy] = COVARIANCE.map(|c| c * temperature);
            let z = rng.normal(size, Device::Cpu).flatten(1, -1);
            let (a, b) = (z.select(1, 0), z.select(1, 1));
            let x = &a * xx.sqrt() + MEAN[0];
            let y = a * (xy / xx.sqrt()) + b * (yy - xy * xy / xx).sqrt() + MEAN[1];
            let rest = z.narrow(1, 2, z.size()[1] - 2) * temperature.sqrt();
            Tensor::cat(&[x.unsqueeze(1), y.unsqueeze(1), rest], 1).view(size)
        },
        means: vec![
            (first, MEAN[0]),
            (second, MEAN[1]),
            (|x| (first(x) - MEAN[0]).square(), xx),
            (|x| (first(x) - MEAN[0]) * (second(x) - MEAN[1]), xy),
            (|x| (second(x) - MEAN[1]).square(), yy),
        ],
    }
}

pub fn bimodal() -> Target {
    let mean: f64 = MODES.iter().map(|(at, weight)| at * weight).sum();
    let square: f64 = MODES
        .iter()
        .map(|(at, weight)| weight * (at * at + WIDTH * WIDTH))
        .sum();
    // P(x > 0) of each mode, by the error function.
    let right = |at: f64| 0.5 * (1.0 + Tensor::from(at / WIDTH / 2f64.sqrt()).erf().double_value(&[]));
    Target {
        name: "bimodal",
        energy: Box::new(Bimodal),
        temperature: 1.0,
        draw: |size, _, rng| {
            let z = rng.normal(size, Device::Cpu) * WIDTH;
            let left = rng.uniform(size, 0.0, 1.0, Device::Cpu).lt(MODES[0].1);
            z + Tensor::from(MODES[0].0 as f32).where_self(&left, &Tensor::from(MODES[1].0 as f32))
        },
        means: vec![
            (first, mean),
            (|x| first(x).square(), square),
            (
                |x| first(x).gt(0.0).to_kind(Kind::Float),
                MODES.iter().map(|(at, weight)| weight * right(*at)).sum(),
            ),
        ],
    }
}

pub fn walled() -> Target {
    let density = (-WALL * WALL / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let below = 0.5 * (1.0 + Tensor::from(WALL / 2f64.sqrt()).erf().double_value(&[]));
    Target {
        name: "walled",
        energy: Box::new(Walled),
        temperature: 1.0,
        draw: |size, _, rng| {
            // The inverse of the distribution function.
            let below = 0.5 * (1.0 + Tensor::from(WALL / 2f64.sqrt()).erf().double_value(&[]));
            let u = rng.uniform(size, 1e-6, 1.0 - 1e-6, Device::Cpu).to_kind(Kind::Double) * below;
            ((u * 2.0 - 1.0).erfinv() * 2f64.sqrt())
                .to_kind(Kind::Float)
                .clamp_max(WALL)
        },
        means: vec![
            (first, -density / below),
            (|x| first(x).square(), 1.0 - WALL * density / below),
        ],
    }
}

/// A kernel's section with another value at a key of its own, or of the kernel inside it.
pub fn with(config: &KernelConfig, key: &str, value: f64) -> KernelConfig {
    fn put(kind: &mut serde_yaml::Value, key: &str, value: f64) {
        let (_, section) = kind.as_mapping_mut().unwrap().iter_mut().next().unwrap();
        match section.get("kernel").is_some() {
            true => put(&mut section["kernel"], key, value),
            false => section[key] = value.into(),
        }
    }
    let mut tree = yaml::to_value(config);
    put(&mut tree, key, value);
    yaml::typed(tree, std::path::Path::new("kernel")).unwrap()
}

/// Every kernel that claims an exact target.
pub fn exact() -> Vec<KernelConfig> {
    let all = KernelConfig::examples();
    let exact: Vec<KernelConfig> = all.into_iter().filter(|k| k.build(1).facts().exact).collect();
    assert!(exact.len() >= 3);
    exact
}

/// Holds the means over the steps after `skipped` to those of the target.
pub fn keeps(kernel: &dyn Kernel, word: &str, target: &Target, start: Tensor, (steps, skipped): (usize, usize)) {
    let mut traces: Vec<Vec<Tensor>> = target.means.iter().map(|_| Vec::new()).collect();
    let mut watch = |k: usize, x: &Tensor| {
        if k > skipped {
            for (trace, (f, _)) in traces.iter_mut().zip(&target.means) {
                trace.push(f(x).to_kind(Kind::Double));
            }
        }
    };
    let rng = &mut Stream::new(7, word);
    run_chain_watched(kernel, &*target.energy, start, steps, rng, &mut watch);
    for (i, (trace, (_, expected))) in traces.iter().zip(&target.means).enumerate() {
        let trace = Tensor::stack(trace, 0);
        let error = mcse_mean(&trace).expect("chains that move");
        let z = (trace.mean(Kind::Double).double_value(&[]) - expected) / error;
        assert!(
            z.abs() < SIGMAS,
            "{word} on {} at T {}: mean {i} is {z:.1} standard errors off",
            target.name,
            target.temperature
        );
    }
}

pub fn tensor(numbers: [f64; 2]) -> Tensor {
    Tensor::from_slice(&numbers).to_kind(Kind::Float)
}

/// Independent normal numbers of these standard deviations.
pub struct Unequal(pub [f64; 2]);

impl Energy for Unequal {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&(x / tensor(self.0)).square()) * 0.5
    }
}

/// Standard normal numbers.
pub struct Normal;

impl Energy for Normal {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&x.square()) * 0.5
    }
}

pub fn kernel(text: &str) -> KernelConfig {
    let place = std::path::Path::new("kernel");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
}
