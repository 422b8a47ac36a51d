//! log Z by annealed importance sampling against closed forms, and the command that measures it.

mod common;

use std::fs;

use common::Bench;
use ebm::energy::Energy;
use ebm::eval::log_z_by_quadrature;
use ebm::rng::Stream;
use ebm::sampling::importance::{Base, Estimate, Importance};
use ebm::sampling::kernels::{Hmc, Mala, RandomWalk};
use ebm::sampling::{Kernel, KernelConfig};
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

/// log Z of Gaussians of these standard deviations around `MEAN`, whose energy has a constant.
struct Gaussian(Vec<f64>);

const MEAN: f64 = 0.7;
const CONSTANT: f64 = 3.5;

impl Energy for Gaussian {
    fn energy(&self, x: &Tensor) -> Tensor {
        let deviations = Tensor::from_slice(&self.0).to_kind(Kind::Float).view(&x.size()[1..]);
        sum_each(&((x - MEAN) / deviations).square()) * 0.5 + CONSTANT
    }
}

impl Gaussian {
    fn log_z(&self) -> f64 {
        let each = |s: &f64| 0.5 * (2.0 * std::f64::consts::PI).ln() + s.ln();
        self.0.iter().map(each).sum::<f64>() - CONSTANT
    }

    fn draw(&self, size: &[i64], rng: &mut Stream) -> Tensor {
        let deviations = Tensor::from_slice(&self.0).to_kind(Kind::Float).view(&size[1..]);
        rng.normal(size, Device::Cpu) * deviations + MEAN
    }
}

fn hmc() -> Box<dyn Kernel> {
    let hmc = Hmc {
        step_size: 0.1,
        leapfrog_steps: 5,
        temperature: 1.0,
        mass: None,
        jitter: 0.2,
    };
    KernelConfig::Hmc(hmc).build(1)
}

/// How far an estimate is from a value, in standard errors that its interval stands for.
fn off(found: &Estimate, value: f64) -> f64 {
    let [low, high] = found.interval;
    (found.value - value) / ((high - low) / (2.0 * 1.96))
}

/// By several kernels, from bases of another width and place, at another temperature of the kernel, for
/// states that are no vectors. Kernels that lag behind keep the bounds on their sides.
#[test]
fn bounds_and_integration_find_the_constant_of_a_gaussian() {
    tch::set_num_threads(1);
    let target = Gaussian(vec![0.2, 0.5, 1.0, 2.0, 0.3, 0.8]);
    let right = target.log_z();
    let mala = Mala {
        step_size: 0.05,
        temperature: 2.5,
    };
    let walk = RandomWalk {
        step_size: 0.3,
        temperature: 1.0,
    };
    let kernels = [
        (hmc(), 0.65, 0.6),
        (KernelConfig::Mala(mala).build(1), 0.6, 3.0),
        (KernelConfig::RandomWalk(walk).build(1), 0.3, 6.0),
    ];
    for (kernel, accept, most) in kernels {
        for base in [
            Base::Gaussian { std: 1.5 },
            Base::Uniform {
                interval: [-11.0, 12.0],
            },
        ] {
            let rng = &mut Stream::new(1, "z");
            let mut chains = Importance::new(&*kernel, base, &target, (&[1, 2, 3], Device::Cpu), 800);
            chains.tune(100, accept, rng);
            let found = chains.log_z(200, rng);
            println!("{} from {base:?}, {right} is right: {found:?}", kernel.words());
            let accepted = found.accept.unwrap();
            assert!((accepted - accept).abs() < 0.05, "accepted {accepted}");
            assert!(off(&found.lower, right) < 4.0 && off(&found.upper, right) > -4.0);
            for value in [found.lower.value, found.upper.value, found.thermodynamic] {
                assert!((value - right).abs() < most, "{value}");
            }
        }
    }
}

/// Too few weights: the chains fall behind, on one side each way.
#[test]
fn bounds_lie_on_their_sides() {
    tch::set_num_threads(1);
    let target = Gaussian(vec![0.3; 8]);
    let kernel = hmc();
    let (mut below, mut above) = (0.0, 0.0);
    for seed in 0..20 {
        let rng = &mut Stream::new(seed, "sides");
        let mut chains = Importance::new(&*kernel, Base::Gaussian { std: 2.0 }, &target, (&[8], Device::Cpu), 40);
        chains.tune(50, 0.7, rng);
        let there = chains.forwards(chains.draw(50, rng), rng);
        let back = chains.backwards(target.draw(&[50, 8], rng), rng);
        let known = Base::Gaussian { std: 2.0 }.log_z(8);
        below += (Estimate::of(&there.log_weights, rng).value + known - target.log_z()) / 20.0;
        above += (known - Estimate::of(&back.log_weights, rng).value - target.log_z()) / 20.0;
    }
    assert!(below < -0.2 && above > 0.2, "{below} {above}");
    assert!(below > -10.0 && above < 10.0, "{below} {above}");
}

/// The intervals of independent runs hold the truth as often as they say, but for the bias of a
/// logarithm.
#[test]
fn intervals_hold_the_truth() {
    tch::set_num_threads(1);
    let (target, kernel) = (Gaussian(vec![0.5, 1.5]), hmc());
    let held = (0..100u64).filter(|seed| {
        let rng = &mut Stream::new(*seed, "interval");
        let mut chains = Importance::new(&*kernel, Base::Gaussian { std: 1.0 }, &target, (&[2], Device::Cpu), 30);
        chains.tune(50, 0.7, rng);
        let there = chains.forwards(chains.draw(200, rng), rng);
        let [low, high] = Estimate::of(&there.log_weights, rng).interval;
        let right = target.log_z() - Base::Gaussian { std: 1.0 }.log_z(2);
        (low..high).contains(&right)
    });
    // 95 are due; fewer than 88 have a probability of 0.15 %.
    let held = held.count();
    assert!(held >= 88, "{held} of 100");
}

#[test]
fn quadrature_is_exact_to_the_width_of_its_cells() {
    for (deviations, interval) in [(vec![0.4], [-4.0, 4.0]), (vec![0.4, 0.9], [-7.0, 8.0])] {
        let target = Gaussian(deviations);
        let found = log_z_by_quadrature(&target, interval, target.0.len() as i64, Device::Cpu).unwrap();
        assert!((found - target.log_z()).abs() < 1e-5, "{found} for {}", target.log_z());
    }
    // A box that cuts off half of the density.
    let half = log_z_by_quadrature(&Gaussian(vec![0.4]), [-9.0, MEAN], 1, Device::Cpu).unwrap();
    assert!((half - (Gaussian(vec![0.4]).log_z() - 2f64.ln())).abs() < 1e-4);
}

const POINTS: &str = "data: {dataset: {toy: {density: eight-gaussians, count: 500}}}\n\
    model: {gaussian-mixture: {input: [2], components: 3, spread: 1.5, std: 0.8}}\n\
    sampler: {kernel: {langevin: {step_size: 0.1}}, n_steps: 2}\n\
    objective: {nce: {}}\n\
    optimizer: {algorithm: {adam: {}}, lr: 1.0e-3}\n\
    train: {steps: 2, batch_size: 20, checkpoint_every: 2}\n\
    report: {every: 1, images: 4, sample_steps: 2}\n\
    threads: 1\ndevice: cpu\n";

/// A mixture's density is normalised: log Z is 0 in all of space and, nearly, in a box that holds it.
#[test]
fn the_command_measures_points() {
    let bench = Bench::new();
    fs::write(bench.path("points.yaml"), POINTS).unwrap();
    bench.succeeds("train points.yaml --out run");
    for (options, quadrature) in [("", false), (" --interval=-12,12", true)] {
        let out = bench.succeeds(&format!(
            "evaluate run --z-chains 100 --temperatures 200 --json figures.json{options}"
        ));
        assert!(out.contains("log Z, from below"), "{out}");
        let figures: serde_json::Value =
            serde_json::from_slice(&fs::read(bench.path("figures.json")).unwrap()).unwrap();
        let found = &figures["likelihood"];
        for key in ["log_z_lower", "log_z_upper"] {
            let value = found[key]["value"].as_f64().unwrap();
            assert!(value.abs() < 0.3, "{key}: {value} in {found}");
        }
        assert_eq!(found["log_z_quadrature"].is_f64(), quadrature, "{found}");
        if quadrature {
            assert!(found["log_z_quadrature"].as_f64().unwrap().abs() < 1e-4, "{found}");
        }
        let [low, high] = [0, 1].map(|i| found["log_likelihood"][i].as_f64().unwrap());
        assert!((low - high).abs() < 0.3 && (-7.0..-3.0).contains(&low), "{found}");
        assert!(found["bits_per_dim"].is_null());
    }
}

/// Pictures get bits per dimension as well: of cells that are 2 / 256 wide.
#[test]
fn the_command_measures_pictures() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=4");
    let line = "evaluate run --parts likelihood --interval=-1,1 --z-chains 20 --temperatures 40 --json f.json";
    let out = bench.succeeds(line);
    assert!(out.contains("bits per dimension"), "{out}");
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("f.json")).unwrap()).unwrap();
    let found = &figures["likelihood"];
    for i in 0..2 {
        let nats = found["log_likelihood"][i].as_f64().unwrap();
        let bits = -(nats / 64.0 + (2f64 / 256.0).ln()) / 2f64.ln();
        assert!(
            (found["bits_per_dim"][i].as_f64().unwrap() - bits).abs() < 1e-9,
            "{found}"
        );
    }
    assert_eq!(bench.succeeds(line), out, "a seed gives the same figures");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let bench = Bench::new();
    fs::write(bench.path("points.yaml"), POINTS).unwrap();
    bench.succeeds("train points.yaml --out run");
    for (options, mentions) in [
        ("--parts quality", &["images"][..]),
        ("--data mnist", &["--data", "points"]),
        ("--interval 1,-1", &["lower first"]),
        ("--interval=-1,1", &["--interval", "lie outside of [-1, 1]"]),
    ] {
        bench.fails(&format!("evaluate run {options}"), 2, mentions);
    }
    bench.succeeds("train tiny.yaml --out images");
    bench.fails(
        "evaluate images --parts likelihood",
        2,
        &["reference_std", "--interval"],
    );
    bench.succeeds("train tiny.yaml --out still --set sampler.noise_scale=0 --set train.steps=4");
    let still = "evaluate still --parts likelihood --interval=-1,1";
    bench.fails(still, 2, &["temperature", "is 0"]);
}
