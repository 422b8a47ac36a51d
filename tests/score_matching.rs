//! Score matching in its three forms against each other, and what it does not see.

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::objective::{Inputs, ObjectiveConfig, Passes, Terms, name};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

const SIGMAS: f64 = 5.0;
const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
/// Numbers of a state, and states of a batch.
const NUMBERS: i64 = 3;
const STATES: i64 = 16;

fn term(text: &str) -> Terms {
    let place = Path::new("objective");
    let config: ObjectiveConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    config.build(Device::Cpu)
}

/// A network of one hidden layer, E(x) = w2' silu(W1 x + b1), as a function of `sign` x.
struct Net<'a> {
    layers: &'a [Tensor; 3],
    sign: f64,
}

impl Energy for Net<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let [first, bias, last] = self.layers;
        let hidden = (x * self.sign).matmul(first) + bias;
        hidden.silu().matmul(last)
    }
}

fn layers() -> [Tensor; 3] {
    let rng = &mut Stream::new(1, "layers");
    let sizes = [vec![NUMBERS, 12], vec![12], vec![12]];
    sizes.map(|size| rng.normal(&size, Device::Cpu).set_requires_grad(true))
}

/// An energy where a term looks for the model.
struct Only<'a>(&'a dyn Energy);

impl Passes for Only<'_> {
    fn energy(&self, _: &str) -> Tensor {
        unreachable!("terms of scores look at the energy itself")
    }

    fn logits(&self, _: &str) -> Tensor {
        unreachable!("terms of scores look at the energy itself")
    }

    fn joint(&self, _: &str, _: &Tensor) -> Tensor {
        unreachable!("terms of scores look at the energy itself")
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(self.0)
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(self.0)
    }

    fn chain_end(&self) -> Tensor {
        unreachable!("no term here looks at the ends of chains")
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}

/// The loss of a term at `data`.
fn loss(terms: &Terms, energy: &dyn Energy, data: Tensor, rng: &mut Stream) -> Tensor {
    let mut inputs = Inputs::default();
    inputs.put(name::DATA, data);
    terms.gather(0, &mut inputs, rng);
    terms.loss(0, &Only(energy), &inputs).value
}

/// Its gradient in the parameters, one row, f64.
fn gradient(terms: &Terms, layers: &[Tensor; 3], (data, sign): (&Tensor, f64), seed: u64) -> Tensor {
    let rng = &mut Stream::new(seed, "noise");
    let value = loss(terms, &Net { layers, sign }, data * sign, rng);
    let grads = Tensor::run_backward(&[value], &layers.each_ref(), false, false);
    let rows: Vec<Tensor> = grads.iter().map(|g| g.flatten(0, -1)).collect();
    Tensor::cat(&rows, 0).to_kind(Kind::Double)
}

fn data() -> Tensor {
    Stream::new(2, "data").normal(&[STATES, NUMBERS], Device::Cpu)
}

fn exact(layers: &[Tensor; 3]) -> Tensor {
    gradient(&term("{sliced: {directions: null}}"), layers, (&data(), 1.0), 0)
}

/// The mean of rows and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// The squares of distances between gradients over many seeds, relative to the exact one, and what
/// lies along it.
fn apart(exact: &Tensor, of: &dyn Fn(u64) -> Tensor) -> [(f64, f64); 2] {
    let size = exact.dot(exact).double_value(&[]);
    let off: Vec<Tensor> = (0..SEEDS).map(|seed| of(seed) - exact).collect();
    let squares: Vec<f64> = off.iter().map(|d| d.dot(d).double_value(&[]) / size).collect();
    let along: Vec<f64> = off.iter().map(|d| d.dot(exact).double_value(&[]) / size).collect();
    [mean_and_error(&squares), mean_and_error(&along)]
}

const SEEDS: u64 = 60;

#[test]
fn slices_tend_to_the_exact_gradient_with_the_root_of_their_number() {
    tch::set_num_threads(1);
    let (layers, data) = (layers(), data());
    let exact = exact(&layers);
    let [few, many] = [2, 32].map(|directions| {
        let terms = term(&format!("{{sliced: {{directions: {directions}}}}}"));
        let [squares, (along, error)] = apart(&exact, &|seed| gradient(&terms, &layers, (&data, 1.0), seed));
        println!("{directions} directions: squares {squares:?}, along {along} +- {error}");
        assert!(along.abs() < SIGMAS * error, "{directions}: {along} +- {error} off");
        squares
    });
    // Of squares the power of the number is -1.
    let slope = (many.0 / few.0).ln() / 16f64.ln();
    let error = (few.1 / few.0).hypot(many.1 / many.0) / 16f64.ln();
    println!("slope {slope} +- {error}");
    assert!(
        error < 0.1 && (slope + 1.0).abs() < SIGMAS * error,
        "{slope} +- {error}"
    );
}

/// Over sigma^2, the gradient of the denoising loss: the mean of the noise and of its negative,
/// which the mirrored network meets on mirrored data.
fn denoised(layers: &[Tensor; 3], sigma: f64, data: &Tensor, seed: u64) -> Tensor {
    let terms = term(&format!("{{denoising: {{sigma: {sigma}}}}}"));
    let [plain, mirrored] = [1.0, -1.0].map(|sign| gradient(&terms, layers, (data, sign), seed));
    (plain + mirrored) / (2.0 * sigma * sigma)
}

#[test]
fn denoising_tends_to_the_exact_gradient_with_the_square_of_sigma() {
    tch::set_num_threads(1);
    let layers = layers();
    let exact = exact(&layers);
    // Many draws of noise at each state.
    let data = data().repeat([50, 1]);
    let [_, (along, error)] = apart(&exact, &|seed| denoised(&layers, 0.02, &data, seed));
    println!("along {along} +- {error}");
    assert!(error < 0.02 && along.abs() < SIGMAS * error, "{along} +- {error} off");
    // With the same noise the difference of two sigmas has no error but that of its own factor.
    let size = |d: Tensor| d.dot(&d).double_value(&[]).sqrt();
    let change = |sigma: f64, seed| {
        let [near, far] = [1.0, 2.0].map(|times| denoised(&layers, times * sigma, &data, seed));
        size(far - near)
    };
    let slope = |sigma: f64| {
        let each: Vec<f64> = (0..8)
            .map(|seed| (change(2.0 * sigma, seed) / change(sigma, seed)).log2())
            .collect();
        mean_and_error(&each)
    };
    let ((near, error), (far, _)) = (slope(0.02), slope(0.04));
    println!("slopes {near} +- {error} and {far}");
    // It tends to 2 with sigma.
    assert!(
        (near - 2.0).abs() < (far - near).abs() + SIGMAS * error,
        "{near} +- {error}, then {far}"
    );
}

/// Two Gaussians of deviation 1 at `-apart` and `apart`, the first of this weight.
struct Pair {
    apart: f64,
    weight: f64,
}

impl Energy for Pair {
    fn energy(&self, x: &Tensor) -> Tensor {
        let x = x.view([-1]);
        let log = [(-self.apart, self.weight), (self.apart, 1.0 - self.weight)]
            .map(|(at, weight)| (&x - at).square() * -0.5 + weight.ln());
        log[0].logaddexp(&log[1]).neg()
    }
}

/// How many data tell a mean of differences from 0 by two of its standard errors.
fn data_needed(mean: f64, square: f64) -> f64 {
    4.0 * (square - mean * mean) / (mean * mean)
}

/// What score matching and the likelihood lose by weights of a half, where 0.2 and 0.8 are right:
/// the differences of their losses, and how many data tell them from nothing.
fn told(apart: f64) -> [(f64, f64); 2] {
    let [truth, wrong] = [0.2, 0.5].map(|weight| Pair { apart, weight });
    let x = Tensor::linspace(-12.0, 12.0, 24_001, DOUBLE);
    let share = truth.energy(&x).neg().softmax(0, Kind::Double);
    let mean = |d: &Tensor| d.dot(&share).double_value(&[]);
    // |dE|^2 / 2 - d2E of each point.
    let score = |pair: &Pair| {
        let x = x.copy().set_requires_grad(true);
        let slope = |y: Tensor, keep| Tensor::run_backward(&[y.sum(Kind::Double)], &[&x], keep, keep).remove(0);
        let grad = slope(pair.energy(&x), true);
        let bend = slope(grad.shallow_clone(), false);
        (grad.square() * 0.5 - bend).detach()
    };
    let scores = score(&wrong) - score(&truth);
    let energies = wrong.energy(&x) - truth.energy(&x);
    [scores, energies].map(|d| (mean(&d), data_needed(mean(&d), mean(&d.square()))))
}

/// The weights of two modes that do not overlap leave no trace in the score where data are.
#[test]
fn score_matching_is_blind_to_the_weights_of_modes_far_apart() {
    tch::set_num_threads(1);
    let terms = term("{sliced: {directions: null}}");
    for (apart, times) in [(1.0, 1.7414), (2.0, 10.603), (3.0, 159.54), (4.0, 6335.0)] {
        let [(scores, score_data), (kl, kl_data)] = told(apart);
        println!("at +-{apart}: {scores:.5} by {score_data:.0} data, KL {kl:.4} by {kl_data:.0}");
        // The term's own loss on as good as all of the truth: many draws of both modes.
        let n = 200_000;
        let rng = &mut Stream::new(4, "data");
        let left = rng.uniform(&[n, 1], 0.0, 1.0, Device::Cpu).lt(0.2);
        let sides = Tensor::full([n, 1], -apart, CPU).where_self(&left, &Tensor::full([n, 1], apart, CPU));
        let data = sides + rng.normal(&[n, 1], Device::Cpu);
        let [right, half] = [0.2, 0.5].map(|weight| {
            let value = loss(&terms, &Pair { apart, weight }, data.shallow_clone(), rng);
            value.to_kind(Kind::Double).double_value(&[])
        });
        // Two standard errors are the difference itself times the root of how many data it takes
        // over how many there are.
        let error = scores * (score_data / n as f64).sqrt() / 2.0;
        let found = half - right;
        assert!(
            (found - scores).abs() < SIGMAS * error + 1e-6,
            "{found} +- {error}, {scores} is due"
        );
        // So many times the data that the likelihood takes, by sums over a grid outside this
        // program.
        let ratio = score_data / kl_data;
        assert!((ratio / times - 1.0).abs() < 0.001, "{ratio}, {times} is due");
    }
    let [(scores, score_data), (kl, _)] = told(4.0);
    assert!(
        kl > 1000.0 * scores && score_data > 1e5,
        "{scores} beside {kl}, {score_data} data"
    );
}
