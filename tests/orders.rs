//! The bias of kernels that never reject against their step, almost without chance: the stationary
//! law of a chain on a circle, solved for from what the kernel's own steps make of functions.
//!
//! A function is a sum of products of waves in x and Hermite polynomials in p. A kernel P takes it
//! to the mean over where a step ends; the law of the chain is what P leaves alone. A step draws
//! its noise itself, so the noise is read from the same stream, and draws get weights that make all
//! polynomials of the noise up to a degree right: what chance is left is told by seeds.

mod common;

use std::f64::consts::{LN_2, SQRT_2, TAU};

use common::targets::{Normal, SIGMAS};
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::kernels::{Preconditioned, Underdamped};
use ebm::sampling::{ChainState, Kernel, Langevin, LangevinConfig, run_chain};
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

/// Waves in x up to this frequency, at as many angles again.
const WAVES: i64 = 11;
const ANGLES: i64 = 40;
/// Hermite polynomials in p.
const MOMENTA: i64 = 10;
/// Draws of the noise at each angle, over all momenta, and the degree up to which weights make them
/// right.
const DRAWS: i64 = 2560;
const DEGREE: i64 = 14;
const SEEDS: u64 = 6;
/// Which of the averages is held to its order: of cos 2x, the mean whose bias is largest.
const WATCHED: usize = 2;
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Two unequal wells on the circle; it bends by 2.6 at most.
struct Circle;

impl Energy for Circle {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&(x.cos() + (x * 2.0 + 0.7).cos() * 0.4))
    }
}

/// 1, sqrt(2) cos kx, sqrt(2) sin kx: orthonormal in the mean over the circle, `[.., 2 WAVES + 1]`.
fn waves(x: &Tensor) -> Tensor {
    let angles = x.unsqueeze(-1) * Tensor::arange_start(1, WAVES + 1, DOUBLE);
    let one = x.unsqueeze(-1).ones_like();
    Tensor::cat(&[one, angles.cos() * SQRT_2, angles.sin() * SQRT_2], -1)
}

/// Hermite polynomials of degrees below `count`, orthonormal under N(0, 1), `[.., count]`.
fn hermite(p: &Tensor, count: i64) -> Tensor {
    let mut all = vec![p.ones_like(), p.shallow_clone()];
    for k in 1..count - 1 {
        let (k, last) = (k as f64, all.len() - 1);
        all.push((p * &all[last] - &all[last - 1] * k.sqrt()) / (k + 1.0).sqrt());
    }
    Tensor::stack(&all[..count as usize], -1)
}

/// The points of Gaussian quadrature for N(0, 1) and their weights, `[count]` each.
fn normal_points(count: i64) -> (Tensor, Tensor) {
    let beside = Tensor::arange_start(1, count, DOUBLE).sqrt();
    let jacobi = beside.diag_embed(1, 0, 1) + beside.diag_embed(-1, 0, 1);
    let (points, vectors) = jacobi.linalg_eigh("L");
    (points, vectors.get(0).square())
}

/// Weights of draws `[.., n]` of N(0, 1), near to equal, under which every polynomial up to
/// [`DEGREE`] has its mean.
fn weights(z: &Tensor) -> Tensor {
    let of = hermite(z, DEGREE + 1);
    let equal = 1.0 / z.size()[z.dim() - 1] as f64;
    let due = Tensor::eye(DEGREE + 1, DOUBLE).get(0);
    let off = due - of.sum_dim_intlist(-2, false, Kind::Double) * equal;
    let shares = of.transpose(-1, -2).matmul(&of);
    let lift = Tensor::linalg_solve(&shares, &off.unsqueeze(-1), true);
    of.matmul(&lift).squeeze_dim(-1) + equal
}

/// The stationary means of cos x, sin x and cos 2x.
fn averages(kernel: &dyn Kernel, momenta: bool, seed: u64) -> [f64; 3] {
    let root = kernel.facts().temperature.sqrt();
    let x = Tensor::arange(ANGLES, DOUBLE) * (TAU / ANGLES as f64);
    let (p, p_weight, degrees) = match momenta {
        true => {
            let (p, weight) = normal_points(MOMENTA);
            (p, weight, MOMENTA)
        }
        false => (Tensor::zeros([1], DOUBLE), Tensor::ones([1], DOUBLE), 1),
    };
    let momenta_at = |p: &Tensor| match degrees {
        1 => p.unsqueeze(-1).ones_like(),
        _ => hermite(p, degrees),
    };
    // Every angle with every momentum, each with draws of its own.
    let size = [ANGLES, p.size()[0], DRAWS / p.size()[0]];
    let spread = |t: Tensor| t.expand(size, false).reshape([-1, 1]).to_kind(Kind::Float);
    let mut state = ChainState::new(&spread(x.view([-1, 1, 1])));
    state.momentum = momenta.then(|| spread(p.view([1, -1, 1])) * root);
    let rng = &mut Stream::new(seed, "orders");
    let z = Stream::new(seed, "orders").normal(&state.x.size(), Device::Cpu);
    let (next, _) = kernel.step(&Circle, state, rng);
    let back = |t: &Tensor| t.to_kind(Kind::Double).view(size);
    let weight = weights(&back(&z)).unsqueeze(-1);
    let ends = momenta_at(&next.momentum.map_or_else(|| back(&z), |p| back(&p) / root));
    // What a step makes of each function at each state, `[angles, momenta, waves, degrees]`.
    let made = waves(&back(&next.x)).transpose(-1, -2).matmul(&(weight * ends));
    // Its share in each function, by quadrature over the states.
    let before = waves(&x) / ANGLES as f64;
    let shares = Tensor::einsum(
        "ijab,ic,jd->abcd",
        &[made, before, momenta_at(&p) * p_weight.unsqueeze(-1)],
        None::<&[i64]>,
    );
    let count = (2 * WAVES + 1) * degrees;
    let first = Tensor::eye(count, DOUBLE).get(0);
    // The means m of all functions hold m = shares m, and that of 1 is 1.
    let system = Tensor::eye(count, DOUBLE) - shares.view([count, count]) + first.outer(&first);
    let means = Tensor::linalg_solve(&system, &first, true)
        .view([-1, degrees])
        .select(1, 0);
    [1, 1 + WAVES, 2].map(|wave| means.double_value(&[wave]) / SQRT_2)
}

/// The same of exp(-E/T).
fn truth(temperature: f64) -> [f64; 3] {
    let x = Tensor::arange(400, DOUBLE) * (TAU / 400.0);
    let p = (Circle.energy(&x.unsqueeze(1)).to_kind(Kind::Double) / -temperature).softmax(0, Kind::Double);
    [x.cos(), x.sin(), (&x * 2.0).cos()].map(|f| (f * &p).sum(Kind::Double).double_value(&[]))
}

/// The mean over seeds and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Holds the bias to the power `order` of the step: the slope between h and 2h tends to it as h
/// goes to 0, so that it is no farther from it than from the slope between 2h and 4h, give or take
/// chance.
fn grows_with(order: f64, step_size: f64, of: &dyn Fn(f64) -> Box<dyn Kernel>, momenta: bool) {
    let temperature = of(step_size).facts().temperature;
    let truth = truth(temperature);
    let biases = [1.0, 2.0, 4.0].map(|times| {
        let kernel = of(step_size * times);
        let each: Vec<f64> = (0..SEEDS)
            .map(|seed| averages(&*kernel, momenta, seed)[WATCHED] - truth[WATCHED])
            .collect();
        mean_and_error(&each)
    });
    // The logarithm of a bias has the error of the bias over it.
    let slope = |i: usize| {
        let [(a, a_error), (b, b_error)] = [biases[i], biases[i + 1]];
        let error = (a_error / a).hypot(b_error / b) / LN_2;
        ((b / a).abs().log2(), error)
    };
    let ((near, near_error), (far, far_error)) = (slope(0), slope(1));
    println!("bias {biases:?}, slopes {near:.3} +- {near_error:.3} and {far:.3} +- {far_error:.3}");
    let chance = SIGMAS * near_error.hypot(far_error);
    assert!(chance < 0.25, "slopes are known to {chance} only");
    let (off, bent) = ((near - order).abs(), (far - near).abs());
    assert!(off < bent + chance, "a slope of {near} +- {near_error}, {order} is due");
}

#[test]
fn langevin_steps_have_a_bias_of_first_order() {
    tch::set_num_threads(1);
    let of = |step_size| {
        let config = LangevinConfig {
            temperature: Some(1.5),
            ..LangevinConfig::plain(step_size)
        };
        Box::new(Langevin::new(&config, 1)) as Box<dyn Kernel>
    };
    grows_with(1.0, 0.015, &of, false);
}

#[test]
fn underdamped_steps_have_a_bias_of_second_order() {
    tch::set_num_threads(1);
    let of = |step_size| {
        Box::new(Underdamped {
            step_size,
            friction: 0.7,
            temperature: 1.5,
        }) as Box<dyn Kernel>
    };
    grows_with(2.0, 0.1, &of, true);
}

/// The variance that a preconditioned chain of this step draws of N(0, 1), and its standard error.
fn variance(step_size: f64, steps: usize) -> (f64, f64) {
    let kernel = Preconditioned {
        step_size,
        decay: 0.99,
        damping: 0.1,
        temperature: 1.0,
    };
    let rng = &mut Stream::new(3, "preconditioned");
    let start = rng.normal(&[4000, 1], Device::Cpu);
    let x = run_chain(&kernel, &Normal, start, steps, rng).x.to_kind(Kind::Double);
    let squares = x.square();
    let error = squares.std(true).double_value(&[]) / (squares.numel() as f64).sqrt();
    (squares.mean(Kind::Double).double_value(&[]), error)
}

/// The page's figures: the memory counts in steps, so that short ones lose it.
#[test]
fn short_preconditioned_steps_need_a_longer_memory() {
    tch::set_num_threads(1);
    for (step_size, steps, due) in [(0.1, 400, 1.09), (0.002, 3000, 1.64)] {
        let (found, error) = variance(step_size, steps);
        println!("step {step_size}: variance {found:.4} +- {error:.4}");
        // The page rounds to a hundredth.
        assert!(
            (found - due).abs() < 0.005 + SIGMAS * error,
            "{found} +- {error}, {due} is told"
        );
    }
}
