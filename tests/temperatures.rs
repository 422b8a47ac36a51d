//! Kernels that go through several temperatures: they cross between modes, and find least energies.

mod common;

use common::targets::*;
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::replay::{BufferConfig, ReplayBuffer};
use ebm::sampling::{Positions, run_chain};
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

/// Two modes of deviation 0.3 at -4 and 3, of weights 0.3 and 0.7, on one number.
struct Distant;

const APART: [(f64, f64); 2] = [(-4.0, 0.3), (3.0, 0.7)];

impl Energy for Distant {
    fn energy(&self, x: &Tensor) -> Tensor {
        let log = APART.map(|(at, weight)| (x - at).square() * (-0.5 / 0.09) + weight.ln());
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }
}

/// All chains start in the lesser mode, from which a kernel at one temperature does not come away.
#[test]
fn kernels_of_several_temperatures_cross_between_modes() {
    tch::set_num_threads(1);
    let target = || Target {
        name: "distant",
        energy: Box::new(Distant),
        temperature: 1.0,
        draw: |_, _, _| unreachable!(),
        means: vec![
            (|x| first(x).gt(0.0).to_kind(Kind::Float), APART[1].1),
            (first, APART.iter().map(|(at, weight)| at * weight).sum()),
        ],
    };
    let start = || Tensor::full([60, 1], -4.0, (Kind::Float, Device::Cpu));
    let alone = kernel("{hmc: {step_size: 0.15, leapfrog_steps: 5}}").build(1);
    let end = run_chain(&*alone, &Distant, start(), 600, &mut Stream::new(1, "alone")).x;
    assert!(end.max().double_value(&[]) < 0.0, "it crosses by itself");
    let inner = "kernel: {hmc: {step_size: 0.15, leapfrog_steps: 5}}";
    for text in [
        format!("{{tempering: {{{inner}, temperatures: [4, 16, 64]}}}}"),
        format!("{{tempered-transitions: {{{inner}, temperatures: [1.6, 2.5, 4, 6.5, 10, 17, 28, 45, 70]}}}}"),
    ] {
        let config = kernel(&text);
        keeps(&*config.build(1), &config.word(), &target(), start(), (700, 200));
    }
}

/// The share of chains in the heavier mode after training steps of few steps of chains each, all of
/// which began in the other one; `kept` says whether replicas go on with their chain.
fn share_crossed(kept: bool, seed: u64) -> f64 {
    // A hot replica goes the way between the modes in some dozens of steps.
    let text = "{tempering: {kernel: {hmc: {step_size: 0.15, leapfrog_steps: 1}}, temperatures: [4, 16, 64]}}";
    let built = kernel(text).build(STEPS);
    let rng = &mut Stream::new(seed, "kept");
    let start = Tensor::full([SLOTS, 1], APART[0].0, (Kind::Float, Device::Cpu));
    let cfg = BufferConfig {
        size: SLOTS as usize,
        reinit_prob: 0.0,
        ..BufferConfig::default()
    };
    let replicas = if kept { built.replicas() } else { 0 };
    let mut buffer = ReplayBuffer::new(&cfg, start, rng).with_replicas(replicas);
    for _ in 0..ROUNDS {
        let drawn = buffer.draw(SLOTS / 2, |_, _| unreachable!(), rng).unwrap();
        let from = Positions {
            x: drawn.x,
            replicas: drawn.replicas,
        };
        let end = run_chain(&*built, &Distant, from, STEPS, rng);
        buffer.put(&drawn.origin, &end, STEPS, rng);
    }
    let right = buffer.all().gt(0.0);
    right.to_kind(Kind::Float).mean(Kind::Double).double_value(&[])
}

const SLOTS: i64 = 400;
const ROUNDS: usize = 800;
const STEPS: usize = 2;

#[test]
fn kept_replicas_carry_chains_of_few_steps_to_the_other_mode() {
    tch::set_num_threads(1);
    let (kept, anew) = (share_crossed(true, 1), share_crossed(false, 1));
    println!("{kept} with kept replicas, {anew} with replicas that start anew");
    // Chains of different slots are independent.
    let p = APART[1].1;
    let error = (p * (1.0 - p) / SLOTS as f64).sqrt();
    assert!((kept - p).abs() < 4.0 * error, "{kept}, due {p}, error {error}");
    assert!(anew < p - 4.0 * error, "{anew} without");
}

/// A chain that cools slowly finds the lower of two minima, one that starts cold does not.
#[test]
fn annealing_ends_in_the_least_energy() {
    tch::set_num_threads(1);
    let share = |from: f64| {
        let text = format!("{{annealing: {{kernel: {{mala: {{step_size: 0.2}}}}, from: {from}, to: 0.005}}}}");
        let start = Tensor::full([200, 1], MODES[0].0, (Kind::Float, Device::Cpu));
        let built = kernel(&text).build(2000);
        let x = run_chain(&*built, &Bimodal, start, 2000, &mut Stream::new(1, "cool")).x;
        (&x - MODES[1].0)
            .abs()
            .lt(0.2)
            .to_kind(Kind::Float)
            .mean(Kind::Double)
            .double_value(&[])
    };
    let (cold, hot) = (share(0.005), share(5.0));
    assert!(cold == 0.0 && hot > 0.9, "{cold} from cold, {hot} from hot");
}
