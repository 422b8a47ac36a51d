//! Langevin chains against closed forms: variances, moments, temperatures, clips, clamps, schedules, seeds.
//!
//! Statistical tests run tens of thousands of independent chains of one or two pixels as a batch. With n independent
//! values a mean has the standard error s / sqrt(n), and a variance of normal values v sqrt(2 / n); five of them are
//! allowed, which chance exceeds once in two million.

use ebm::energy::{Energy, FrozenEnergy, Sum, Tempered};
use ebm::nn::Network;
use ebm::rng::Stream;
use ebm::sampling::{ChainSchedule, GradClip, InnerConfig, LangevinConfig, NetworkMode, StepPart};
use ebm::sampling::{ChainState, Kernel, Langevin, run_chain, run_chain_watched};
use tch::{Device, Kind, Tensor};

const SIGMAS: f64 = 5.0;

/// sum of x_i^2 / (2 v_i) over the two pixels of a 1x1x2 image.
struct Gaussian {
    variances: [f32; 2],
}

impl Energy for Gaussian {
    fn energy(&self, x: &Tensor) -> Tensor {
        let v = Tensor::from_slice(&self.variances).view([1, 1, 1, 2]);
        (x.square() / v / 2.0).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float)
    }
}

/// exp(x) - 2 x in every pixel: its density falls slowly to the left, steeply to the right.
struct Skewed;

impl Energy for Skewed {
    fn energy(&self, x: &Tensor) -> Tensor {
        (x.exp() - x * 2.0).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float)
    }
}

/// The same gradient everywhere: every step can be computed by hand.
struct Slope(f64);

impl Energy for Slope {
    fn energy(&self, x: &Tensor) -> Tensor {
        x.sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float) * self.0
    }
}

fn config(step_size: f64) -> LangevinConfig {
    LangevinConfig::plain(step_size)
}

fn zeros(n: i64, w: i64) -> Tensor {
    // Two threads that share little work wait for each other on a busy machine.
    tch::set_num_threads(1);
    Tensor::zeros([n, 1, 1, w], (Kind::Float, Device::Cpu))
}

fn values(x: &Tensor) -> Vec<f32> {
    Vec::try_from(x.flatten(0, -1)).unwrap()
}

fn sample(cfg: &LangevinConfig, energy: &dyn Energy, x: Tensor, n_steps: usize, seed: u64) -> Tensor {
    run_chain(
        &Langevin::new(cfg, n_steps),
        energy,
        x,
        n_steps,
        &mut Stream::new(seed, "chain"),
    )
    .x
}

/// Mean, variance and third central moment of all values.
fn moments(x: &Tensor) -> [f64; 3] {
    let x = x.to_kind(Kind::Double).flatten(0, -1);
    let mean = x.mean(Kind::Double).double_value(&[]);
    let power = |p: i64| (&x - mean).pow_tensor_scalar(p).mean(Kind::Double).double_value(&[]);
    [mean, power(2), power(3)]
}

/// Per-pixel variances of 40,000 chains against `expected`, in standard errors.
fn assert_variances(x: &Tensor, expected: [f64; 2]) {
    let n = x.size()[0] as f64;
    for (i, want) in expected.into_iter().enumerate() {
        let [mean, got, _] = moments(&x.select(3, i as i64));
        let z = (got - want) / (want * (2.0 / n).sqrt());
        println!("axis {i}: variance {got:.5}, expected {want:.5}, {z:+.2} standard errors");
        assert!(z.abs() < SIGMAS, "axis {i}: variance {got}, expected {want}");
        assert!(mean.abs() < SIGMAS * (want / n).sqrt(), "axis {i}: mean {mean}");
    }
}

const ORDERS: [[StepPart; 2]; 2] = [
    [StepPart::Gradient, StepPart::Noise],
    [StepPart::Noise, StepPart::Gradient],
];

/// For x' = (1 - h) x + noise of variance 2 step T: v T / (1 - h/2); where noise comes first, (1 - h)^2 times that.
/// The slower axis forgets its start as (1 - h)^(2 n): below 1e-17 here.
#[test]
fn stationary_variance_of_each_axis_and_order() {
    let variances = [0.5, 2.0];
    for step in [0.2, 0.6] {
        for (order, temperature) in [(0, 1.0), (1, 1.0), (0, 0.3), (1, 0.3)] {
            let cfg = LangevinConfig {
                order: Some(ORDERS[order].to_vec()),
                temperature: Some(temperature),
                ..config(step)
            };
            let x = sample(
                &cfg,
                &Gaussian {
                    variances: variances.map(|v| v as f32),
                },
                zeros(40_000, 2),
                200,
                7,
            );
            assert_variances(
                &x,
                variances.map(|v| {
                    let h = step / v;
                    let first = temperature * v / (1.0 - h / 2.0);
                    if order == 0 { first } else { first * (1.0 - h).powi(2) }
                }),
            );
        }
    }
}

#[test]
fn temperature_is_given_or_implied() {
    let given = LangevinConfig {
        temperature: Some(0.25),
        ..config(0.02)
    };
    let kernel = Langevin::new(&given, 10);
    assert_eq!((kernel.temperature(), kernel.noise_scale()), (0.25, 0.1));
    assert_eq!(Langevin::new(&config(0.02), 10).temperature(), 1.0);
    let implied = LangevinConfig {
        noise_scale: Some(0.3),
        ..config(0.1)
    };
    let kernel = Langevin::new(&implied, 10);
    assert_eq!(kernel.noise_scale(), 0.3);
    assert!((kernel.temperature() - 0.45).abs() < 1e-12);
    // A chain with its own noise samples at the temperature that it says.
    let x = sample(&implied, &Gaussian { variances: [1.0, 1.0] }, zeros(40_000, 2), 200, 8);
    assert_variances(&x, [0.45 / (1.0 - 0.05); 2]);
    let silent = LangevinConfig {
        noise_scale: Some(0.0),
        ..config(0.1)
    };
    assert_eq!(Langevin::new(&silent, 10).temperature(), 0.0);
}

/// Mean, variance and third central moment of exp(-(e^x - 2x)) by the trapezoid rule, exact to rounding for a
/// function that vanishes with all its derivatives at both ends.
fn skewed_moments() -> [f64; 3] {
    let points: Vec<f64> = (0..=40_000).map(|i| -20.0 + 0.0006 * f64::from(i)).collect();
    let weights: Vec<f64> = points.iter().map(|x| (2.0 * x - x.exp()).exp()).collect();
    let total: f64 = weights.iter().sum();
    let expect = |f: &dyn Fn(f64) -> f64| points.iter().zip(&weights).map(|(x, w)| f(*x) * w).sum::<f64>() / total;
    let mean = expect(&|x| x);
    [mean, expect(&|x| (x - mean).powi(2)), expect(&|x| (x - mean).powi(3))]
}

/// The bias is of first order in the step size: it shrinks with it, and at the smallest step it is within the
/// allowance of a bias in proportion to the step (fitted at the step before) and the standard errors.
#[test]
fn mean_and_skew_of_an_asymmetric_target() {
    let exact = skewed_moments();
    // digamma(2), trigamma(2), and polygamma_2(2): x is the logarithm of a gamma variable of shape 2.
    for (got, known) in exact.iter().zip([0.422_784_335, 0.644_934_067, -0.404_113_806]) {
        assert!((got - known).abs() < 1e-6, "{got} {known}");
    }
    let n = 100_000;
    tch::set_num_threads(1);
    let errors = [0.4, 0.1, 0.02].map(|step| {
        let n_steps = (8.0 / step) as usize;
        let start = Stream::new(1, "start").normal(&[n, 1, 1, 1], Device::Cpu);
        let got = moments(&sample(&config(step), &Skewed, start, n_steps, 9));
        println!("step {step}: {got:?}, exact {exact:?}");
        [got[0] - exact[0], got[2] - exact[2]]
    });
    let n = n as f64;
    let mean_error = (exact[1] / n).sqrt();
    // The third moment of n values has about the variance (sixth - third^2 + 9 second^3 - 6 fourth second) / n;
    // central moments of log gamma(2) from its cumulants: fourth 2.2, sixth 15 (rounded up).
    let skew_error = ((15.0 - exact[2].powi(2) + 9.0 * exact[1].powi(3) - 6.0 * 2.2 * exact[1]) / n).sqrt();
    for (i, error) in [mean_error, skew_error].into_iter().enumerate() {
        let [coarse, middle, fine] = errors.map(|e| e[i].abs());
        println!("moment {i}: bias {coarse:.4} {middle:.4} {fine:.4}, standard error {error:.5}");
        assert!(
            coarse > middle + SIGMAS * error && middle > fine,
            "bias does not shrink: {coarse} {middle} {fine}"
        );
        // A fifth of the step, a fifth of the bias.
        assert!(
            fine < 0.2 * middle + SIGMAS * error * (1.0 + 0.2),
            "{fine} at the smallest step"
        );
    }
}

#[test]
fn without_noise_it_is_gradient_descent_and_draws_nothing() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.0),
        ..config(0.1)
    };
    let start = Stream::new(2, "start").normal(&[16, 1, 1, 2], Device::Cpu);
    let mut rng = Stream::new(3, "chain");
    let energy = Gaussian { variances: [0.5, 2.0] };
    let got = run_chain(&Langevin::new(&cfg, 20), &energy, start.copy(), 20, &mut rng).x;
    assert_eq!(rng.counter(), 0);
    let mut x = start.copy();
    let curvature = Tensor::from_slice(&[2f32, 0.5]).view([1, 1, 1, 2]);
    for _ in 0..20 {
        x = &x - (&x * &curvature) * 0.1;
    }
    // Twenty steps of three roundings each, of numbers below 4, contracting.
    assert!((got - x).abs().max().double_value(&[]) < 4.0 * 60.0 * f64::from(f32::EPSILON));
}

#[test]
fn the_caller_keeps_its_images() {
    let start = zeros(4, 2);
    let end = sample(&config(0.1), &Slope(1.0), start.shallow_clone(), 3, 1);
    assert_ne!(end, start);
    assert_eq!(start, zeros(4, 2));
}

#[test]
fn elementwise_clip_is_exact() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.0),
        grad_clip: Some(GradClip::Value(0.25)),
        ..config(0.5)
    };
    // grad = x / v = x here: some inside the limit, some beyond on either side.
    let start = Tensor::from_slice(&[0.125f32, -0.25, 3.0, -7.0]).view([2, 1, 1, 2]);
    let got = sample(&cfg, &Gaussian { variances: [1.0, 1.0] }, start, 1, 1);
    assert_eq!(values(&got), [0.0625, -0.125, 2.875, -6.875]);
}

#[test]
fn norm_clip_is_exact_for_each_image() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.0),
        grad_clip: Some(GradClip::Norm(1.0)),
        ..config(0.5)
    };
    // Norms 5, 0.5 and 0: the first is divided by 5, the others stay.
    let start = Tensor::from_slice(&[3f32, 4.0, 0.3, -0.4, 0.0, 0.0]).view([3, 1, 1, 2]);
    let mut rng = Stream::new(1, "chain");
    let out = run_chain(
        &Langevin::new(&cfg, 1),
        &Gaussian { variances: [1.0, 1.0] },
        start,
        1,
        &mut rng,
    );
    for (got, want) in values(&out.x).into_iter().zip([2.7f32, 3.6, 0.15, -0.2, 0.0, 0.0]) {
        assert!((got - want).abs() < 4.0 * 4.0 * f32::EPSILON, "{got} {want}");
    }
    // What is reported is the norm before clipping, the mean over the three images.
    assert!((out.grad_norm.double_value(&[]) - 5.5 / 3.0).abs() < 1e-6);
}

/// A slope moves x by a fixed amount and noise by an amount known from the seed, so each order has one right answer.
#[test]
fn clamp_acts_where_it_stands() {
    use StepPart::{Clamp, Gradient, Noise};
    let noise = {
        let mut z = zeros(64, 2);
        let mut rng = Stream::new(5, "chain");
        rng.seed_next();
        z.normal_(0.0, 0.5)
    };
    let start = Stream::new(6, "start").uniform(&[64, 1, 1, 2], -1.0, 1.0, Device::Cpu);
    let shift = |x: &Tensor| x - 0.75;
    let diffuse = |x: &Tensor| x + &noise;
    let clamp = |x: &Tensor| x.clamp(-1.0, 1.0);
    let cases: [(Vec<StepPart>, Tensor); 6] = [
        (vec![Gradient, Noise, Clamp], clamp(&diffuse(&shift(&start)))),
        (vec![Gradient, Clamp, Noise], diffuse(&clamp(&shift(&start)))),
        (vec![Clamp, Gradient, Noise], diffuse(&shift(&clamp(&start)))),
        (vec![Noise, Gradient, Clamp], clamp(&shift(&diffuse(&start)))),
        (vec![Noise, Clamp, Gradient], shift(&clamp(&diffuse(&start)))),
        (
            vec![Noise, Clamp, Gradient, Clamp],
            clamp(&shift(&clamp(&diffuse(&start)))),
        ),
    ];
    for (order, want) in &cases {
        let cfg = LangevinConfig {
            noise_scale: Some(0.5),
            clamp: Some([-1.0, 1.0]),
            order: Some(order.clone()),
            ..config(0.5)
        };
        assert_eq!(sample(&cfg, &Slope(1.5), start.copy(), 1, 5), *want, "{order:?}");
    }
    for (i, (_, a)) in cases.iter().enumerate() {
        assert!(
            cases[..i].iter().all(|(_, b)| a != b || i == 2),
            "cases that do not differ show nothing"
        );
    }
    let unsaid = LangevinConfig {
        noise_scale: Some(0.5),
        clamp: Some([-1.0, 1.0]),
        ..config(0.5)
    };
    assert_eq!(
        sample(&unsaid, &Slope(1.5), start.copy(), 1, 5),
        cases[0].1,
        "the order when none is given"
    );
}

/// The gradient belongs to the point where the chain is when the gradient's turn comes.
#[test]
fn gradient_is_taken_after_noise_that_comes_first() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.5),
        order: Some(ORDERS[1].to_vec()),
        ..config(0.25)
    };
    let got = sample(&cfg, &Gaussian { variances: [1.0, 1.0] }, zeros(8, 2), 1, 5);
    let mut rng = Stream::new(5, "chain");
    rng.seed_next();
    let z = zeros(8, 2).normal_(0.0, 0.5);
    assert!((got - z * 0.75).abs().max().double_value(&[]) < 4.0 * f64::from(f32::EPSILON));
}

#[test]
fn schedules_are_exact_at_each_step() {
    let schedules: [(ChainSchedule, [f64; 5]); 4] = [
        (ChainSchedule::Constant, [1.0; 5]),
        (ChainSchedule::Linear { end: 0.2 }, [1.0, 0.8, 0.6, 0.4, 0.2]),
        (
            ChainSchedule::Geometric { end: 1.0 / 16.0 },
            [1.0, 0.5, 0.25, 0.125, 0.0625],
        ),
        (
            ChainSchedule::Polynomial { end: 0.0, power: 2.0 },
            [1.0, 0.5625, 0.25, 0.0625, 0.0],
        ),
    ];
    for (schedule, factors) in schedules {
        let cfg = LangevinConfig {
            noise_scale: Some(0.0),
            step_schedule: schedule,
            noise_schedule: schedule,
            ..config(0.5)
        };
        // Each step of a slope moves by step_size_k times it.
        let mut path = Vec::new();
        let mut watch = |_: usize, x: &Tensor| path.push(x.double_value(&[0, 0, 0, 0]));
        run_chain_watched(
            &Langevin::new(&cfg, 5),
            &Slope(-2.0),
            zeros(1, 1),
            5,
            &mut Stream::new(1, "c"),
            &mut watch,
        );
        assert_eq!(path.len(), 6);
        for (k, factor) in factors.into_iter().enumerate() {
            assert!((path[k + 1] - path[k] - factor).abs() < 1e-6, "{schedule:?}, step {k}");
        }
        let given = Langevin::new(
            &LangevinConfig {
                noise_scale: Some(0.3),
                ..cfg.clone()
            },
            5,
        );
        let ula = Langevin::new(
            &LangevinConfig {
                noise_scale: None,
                noise_schedule: ChainSchedule::Constant,
                ..cfg
            },
            5,
        );
        for (k, factor) in factors.into_iter().enumerate() {
            assert!(
                (given.noise_scale_at(k) - 0.3 * factor).abs() < 1e-12,
                "{schedule:?}, step {k}"
            );
            // Noise that is not given is that of each step's own size, so T stays 1.
            assert!((ula.noise_scale_at(k).powi(2) - 2.0 * ula.step_size_at(k)).abs() < 1e-12);
        }
        assert_eq!(given.step_size_at(9), given.step_size_at(4), "beyond the end");
        assert_eq!(Langevin::new(&config(0.5), 1).step_size_at(0), 0.5);
    }
}

/// The noise that a chain really adds follows the schedule: on a flat energy the variances add up.
#[test]
fn noise_follows_its_schedule() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.5),
        noise_schedule: ChainSchedule::Linear { end: 0.0 },
        ..config(1.0)
    };
    let x = sample(&cfg, &Slope(0.0), zeros(40_000, 2), 3, 3);
    assert_variances(&x, [0.25 * (1.0 + 0.25); 2]);
}

/// A step size that falls along the chain leaves a target that is already reached where it is.
#[test]
fn implied_noise_keeps_the_temperature_while_the_step_shrinks() {
    let cfg = LangevinConfig {
        step_schedule: ChainSchedule::Geometric { end: 0.01 },
        ..config(0.5)
    };
    let x = sample(&cfg, &Gaussian { variances: [1.0, 1.0] }, zeros(40_000, 2), 400, 4);
    // The exact recursion v' = (1 - h_k)^2 v + 2 h_k.
    let kernel = Langevin::new(&cfg, 400);
    let v = (0..400)
        .map(|k| kernel.step_size_at(k))
        .fold(0.0, |v, h| (1.0 - h).powi(2) * v + 2.0 * h);
    assert!((v - 1.0).abs() < 0.02, "{v}");
    assert_variances(&x, [v; 2]);
}

#[test]
fn the_same_stream_gives_the_same_chain_bit_for_bit() {
    let run = |seed| sample(&config(0.1), &Skewed, zeros(64, 3), 30, seed);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_chain_can_be_cut_in_two() {
    let (cfg, energy) = (config(0.1), Skewed);
    let kernel = Langevin::new(&cfg, 10);
    let whole = run_chain(&kernel, &energy, zeros(8, 2), 10, &mut Stream::new(1, "c")).x;
    let mut rng = Stream::new(1, "c");
    let half = run_chain(&kernel, &energy, zeros(8, 2), 5, &mut rng).x;
    assert_eq!(run_chain(&kernel, &energy, half, 5, &mut rng).x, whole);
}

/// The state lives in the memory it started in: a step moves numbers, not tensors.
#[test]
fn a_step_works_in_the_memory_of_the_state() {
    let clipped = LangevinConfig {
        grad_clip: Some(GradClip::Value(0.1)),
        clamp: Some([-1.0, 1.0]),
        ..config(0.1)
    };
    let scaled = LangevinConfig {
        grad_clip: Some(GradClip::Norm(0.1)),
        ..config(0.1)
    };
    for cfg in [config(0.1), clipped, scaled] {
        let mut rng = Stream::new(1, "c");
        let mut state = ChainState::new(&zeros(8, 2));
        let memory = (state.x.data_ptr(), state.scratch.data_ptr());
        for k in 0..5 {
            let (next, info) = Langevin::new(&cfg, 5).step(&Skewed, state, &mut rng);
            state = next;
            assert_eq!((state.x.data_ptr(), state.scratch.data_ptr()), memory);
            assert_eq!((state.step, info.grad_norm.map(|n| n.size())), (k + 1, Some(vec![8])));
            assert!(info.accept_prob.is_none() && !state.x.requires_grad());
        }
    }
}

#[test]
fn a_bf16_network_leaves_the_state_in_f32() {
    let path = std::path::Path::new("models/mnist.yaml");
    let model = ebm::config::yaml::load(path).unwrap();
    let mut rng = Stream::new(1, "init");
    let network = Network::new(&model, Device::Cpu, &mut rng).unwrap();
    let energy = FrozenEnergy::new(&network, Kind::BFloat16, 1.0);
    let start = rng.uniform(&[4, 1, 28, 28], -1.0, 1.0, Device::Cpu);
    let cfg = LangevinConfig {
        noise_scale: Some(0.0),
        ..config(1.0)
    };
    let x = sample(&cfg, &energy, start.copy(), 2, 1);
    assert_eq!(x.kind(), Kind::Float);
    // Steps far below bf16's resolution of 2^-9 still move the state.
    let moved = (x - start).abs();
    assert!(moved.max().double_value(&[]) < 2e-3 && moved.count_nonzero(None).int64_value(&[]) > 2000);
    for (name, parameter) in network.parameters() {
        assert!(!parameter.grad().defined(), "{name}");
    }
}

/// A sum of energies is a product of densities: precisions add.
#[test]
fn chains_run_on_sums() {
    let sum = Sum(vec![
        Box::new(Gaussian { variances: [1.0, 1.0] }),
        Box::new(Gaussian { variances: [0.5, 1.0] }),
    ]);
    let x = sample(&config(0.1), &sum, zeros(40_000, 2), 150, 6);
    let exact = |v: f64| v / (1.0 - 0.1 / v / 2.0);
    assert_variances(&x, [exact(1.0 / 3.0), exact(0.5)]);
}

/// A network with dropout, and its energy along a chain in `mode`.
fn dropping(p: f64, mode: NetworkMode) -> FrozenEnergy {
    let text = format!(
        "name: drop\ninput: [1, 4, 4]\nlayers: [flatten, {{linear: {{out: 32}}}}, silu, {{dropout: {{p: {p}}}}}, {{linear: {{out: 1}}}}]"
    );
    let path = std::path::Path::new("drop.yaml");
    let model = ebm::config::yaml::typed(ebm::config::yaml::parse(&text, path).unwrap(), path).unwrap();
    let network = Network::new(&model, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    FrozenEnergy::new(&network, Kind::Float, 1.0).in_mode(mode.mode())
}

#[test]
fn a_chain_through_dropout_repeats_bit_for_bit() {
    let cfg = LangevinConfig {
        noise_scale: Some(0.0),
        ..config(5.0)
    };
    let inner = LangevinConfig {
        inner: Some(InnerConfig {
            steps: 2,
            step_size: 1.0,
        }),
        ..cfg.clone()
    };
    let x = Stream::new(2, "start").uniform(&[8, 1, 4, 4], -1.0, 1.0, Device::Cpu);
    let run = |cfg: &LangevinConfig, energy: &FrozenEnergy, seed: u64| {
        // What others did to the generator before does not matter.
        tch::manual_seed(seed as i64 + 77);
        let mut rng = Stream::new(seed / 2, "chain");
        let x = run_chain(&Langevin::new(cfg, 4), energy, x.copy(), 4, &mut rng).x;
        (x, rng.counter())
    };
    let training = dropping(0.5, NetworkMode::Training);
    assert!(
        training.draws()
            && Tempered {
                energy: &training,
                temperature: 2.0
            }
            .draws()
    );
    for (cfg, draws) in [(&cfg, 4), (&inner, 4 * 3)] {
        let [a, b, other] = [10, 11, 12].map(|seed| run(cfg, &training, seed));
        assert_eq!(a, b, "one stream, one chain");
        assert_eq!(a.1, draws);
        assert_ne!(a.0, other.0, "dropout is active");
    }
    // What draws nothing leaves the stream alone, as ever.
    for quiet in [
        dropping(0.5, NetworkMode::Evaluation),
        dropping(0.0, NetworkMode::Training),
    ] {
        assert!(!quiet.draws());
        let [a, other] = [10, 12].map(|seed| run(&cfg, &quiet, seed));
        assert_eq!(a, other);
        assert_eq!(a.1, 0);
    }
}
