//! All kernels through one test: what claims an exact target keeps it, from exact draws and from a
//! point, at temperature 1 and at another, whatever the shape of a state.

mod common;

use common::targets::*;
use ebm::rng::Stream;
use ebm::sampling::kernels::{Nuts, Preconditioned, Stein, Underdamped};
use ebm::sampling::{ChainState, Kernel, KernelConfig, Needs, StepInfo, Watch, run_chain, run_chain_watched};
use ebm::space::{Space, Values};
use tch::{Device, Kind, Tensor};

/// The kernel of an example at a temperature.
fn at_temperature(config: &KernelConfig, temperature: f64) -> Box<dyn Kernel> {
    let kernel = with(config, "temperature", temperature).build(1);
    assert_eq!(kernel.facts().temperature, temperature, "{}", config.word());
    kernel
}

#[test]
fn exact_draws_stay_exact() {
    tch::set_num_threads(1);
    for config in exact() {
        let word = config.word();
        let mut rng = Stream::new(1, &word);
        for (shape, chains) in [(vec![2], 400), (vec![1, 2, 2], 200), (vec![2, 1, 1, 2], 200)] {
            for temperature in [1.0, 2.5] {
                let target = correlated(temperature);
                let kernel = at_temperature(&config, temperature);
                let size: Vec<i64> = std::iter::once(chains).chain(shape.iter().copied()).collect();
                let start = (target.draw)(&size, temperature, &mut rng);
                keeps(&*kernel, &word, &target, start, (150, 0));
            }
        }
        for target in [bimodal(), walled()] {
            let start = (target.draw)(&[400, 1], 1.0, &mut rng);
            keeps(&*config.build(1), &word, &target, start, (150, 0));
        }
    }
}

/// The splitting BAOAB is right in the positions of a Gaussian at any step that is stable.
#[test]
fn underdamped_steps_leave_a_gaussian_as_it_is() {
    tch::set_num_threads(1);
    for temperature in [1.0, 2.5] {
        for (step_size, friction) in [(0.9, 0.7), (0.2, 5.0)] {
            let target = correlated(temperature);
            let config = KernelConfig::Underdamped(Underdamped {
                step_size,
                friction,
                temperature,
            });
            let mut rng = Stream::new(8, "underdamped");
            let start = (target.draw)(&[400, 2], temperature, &mut rng);
            keeps(&*config.build(1), "underdamped", &target, start, (150, 0));
            let start = Tensor::full([400, 2], -2.0, (Kind::Float, Device::Cpu));
            keeps(&*config.build(1), "underdamped", &target, start, (900, 600));
        }
    }
}

/// Where V follows the state at once, the chain draws from exp(-E) / G.
#[test]
fn preconditioned_steps_have_the_bias_that_is_known() {
    tch::set_num_threads(1);
    let damping = 1.0;
    // Of N(0, 1) times (damping + |x|): E|x| and E|x|^3 of a standard normal number are sqrt(2/pi)
    // and 2 sqrt(2/pi).
    let one = (2.0 / std::f64::consts::PI).sqrt();
    let biased = (damping + 2.0 * one) / (damping + one);
    let target = Target {
        name: "exp(-E) / G",
        energy: Box::new(Normal),
        temperature: 1.0,
        draw: |_, _, _| unreachable!(),
        means: vec![(first, 0.0), (|x| first(x).square(), biased)],
    };
    let config = KernelConfig::Preconditioned(Preconditioned {
        step_size: 0.01,
        decay: 0.0,
        damping,
        temperature: 1.0,
    });
    let start = Stream::new(2, "start").normal(&[400, 1], Device::Cpu);
    keeps(&*config.build(1), "preconditioned", &target, start, (3000, 1000));
}

/// Where V is the mean square of the gradient, G is the standard deviation of each number, and a step
/// is one of plain Langevin: a variance is too large by 1 / (1 - step_size / (2 sd)).
#[test]
fn preconditioned_steps_with_a_long_memory_lose_that_bias() {
    tch::set_num_threads(1);
    let (step_size, scales) = (0.05, [0.2, 1.0]);
    let config = KernelConfig::Preconditioned(Preconditioned {
        step_size,
        decay: 0.9995,
        damping: 1e-4,
        temperature: 1.0,
    });
    let due = scales.map(|sd| sd * sd / (1.0 - step_size / (2.0 * sd)));
    let target = Target {
        name: "unequal",
        energy: Box::new(Unequal(scales)),
        temperature: 1.0,
        draw: |_, _, _| unreachable!(),
        means: vec![
            (first, 0.0),
            (|x| first(x).square(), due[0]),
            (|x| second(x).square(), due[1]),
        ],
    };
    let start = Stream::new(2, "start").normal(&[200, 2], Device::Cpu) * tensor(scales);
    keeps(&*config.build(1), "preconditioned", &target, start, (6000, 4000));
}

#[test]
fn particles_of_stein_spread_as_the_target_does() {
    tch::set_num_threads(1);
    for temperature in [1.0, 2.5] {
        let target = correlated(temperature);
        let config = KernelConfig::Stein(Stein {
            step_size: 0.5,
            bandwidth: None,
            temperature,
        });
        let start = Stream::new(2, "start").normal(&[200, 2], Device::Cpu) * 0.3 - 2.0;
        let x = run_chain(&*config.build(1), &Correlated, start, 2000, &mut Stream::new(0, "")).x;
        for (i, (f, expected)) in target.means.iter().enumerate() {
            let mean = f(&x).mean(Kind::Double).double_value(&[]);
            let tolerance = 0.02 + 0.05 * expected.abs();
            assert!((mean - expected).abs() < tolerance, "mean {i}: {mean} for {expected}");
        }
    }
    // Two particles keep their distance, where their median is that of one pair.
    let pair = Tensor::from_slice2(&[[0.0f32, 0.0], [0.1, 0.0]]);
    let config = kernel("{stein: {step_size: 0.5}}");
    let x = run_chain(&*config.build(1), &Normal, pair, 500, &mut Stream::new(0, "")).x;
    let distance = (x.get(0) - x.get(1)).norm().double_value(&[]);
    assert!((0.5..5.0).contains(&distance), "{distance}");
    // One particle falls into a minimum.
    let config = KernelConfig::Stein(Stein {
        step_size: 0.5,
        bandwidth: Some(1.0),
        temperature: 1.0,
    });
    let start = Tensor::full([1, 2], -2.0, (Kind::Float, Device::Cpu));
    let x = run_chain(&*config.build(1), &Correlated, start, 200, &mut Stream::new(0, "")).x;
    let apart = (x - Tensor::from_slice(&MEAN)).abs().max().double_value(&[]);
    assert!(apart < 1e-3, "{apart}");
}

/// On a standard Gaussian half a turn takes the time pi, which trajectories are to fill.
#[test]
fn trajectories_of_nuts_go_until_they_turn() {
    tch::set_num_threads(1);
    let counted = |step_size: f64, max_depth: usize| {
        let config = KernelConfig::Nuts(Nuts {
            step_size,
            max_depth,
            temperature: 1.0,
            mass: None,
        });
        let (kernel, rng) = (config.build(1), &mut Stream::new(4, "nuts"));
        let start = rng.normal(&[300, 20], Device::Cpu);
        let state = kernel.start(&Normal, &start, rng);
        kernel
            .step(&Normal, state, rng)
            .1
            .gradients
            .expect("it counts gradients")
    };
    for step_size in [0.2, 0.02] {
        let time = counted(step_size, 12) * step_size;
        let (least, mean) = (time.min().double_value(&[]), time.mean(Kind::Double).double_value(&[]));
        let most = time.max().double_value(&[]);
        assert!(least > 0.9 && most < 7.0, "times from {least} to {most}");
        assert!((2.0..5.0).contains(&mean), "a mean time of {mean}");
    }
    assert_eq!(counted(1e-4, 4).max().double_value(&[]), 15.0);
}

#[test]
fn chains_from_a_point_find_the_target() {
    tch::set_num_threads(1);
    for config in exact() {
        let word = config.word();
        for (target, numbers) in [(correlated(1.0), 2), (bimodal(), 1), (walled(), 1)] {
            let start = Tensor::full([100, numbers], -2.0, (Kind::Float, Device::Cpu));
            keeps(&*config.build(1), &word, &target, start, (900, 300));
        }
    }
}

/// Sets the step size of chains by hand.
struct Step(f64, Vec<f64>);

impl Watch for Step {
    fn started(&mut self, state: &mut ChainState) {
        state.step_size = Some(Tensor::from(self.0 as f32));
    }

    fn seen(&mut self, _: usize, _: &mut ChainState, info: &StepInfo) {
        let accept = info.accept_prob.as_ref().expect("an acceptance");
        self.1.push(accept.mean(Kind::Double).double_value(&[]));
    }
}

#[test]
fn acceptance_tends_to_one_with_the_step_and_falls_as_it_grows() {
    tch::set_num_threads(1);
    for config in exact() {
        let (word, kernel) = (config.word(), config.build(1));
        // A kernel without a step size has nothing that could be made small.
        let Some(own) = kernel.step_size() else {
            continue;
        };
        let accepted = |step: f64| {
            let mut watch = Step(step, Vec::new());
            let rng = &mut Stream::new(3, &word);
            let start = (correlated(1.0).draw)(&[500, 2], 1.0, rng);
            run_chain_watched(&*kernel, &Correlated, start, 20, rng, &mut watch);
            watch.1.iter().sum::<f64>() / watch.1.len() as f64
        };
        let [tiny, small, given, large] = [own * 1e-4, own * 0.1, own, own * 10.0].map(accepted);
        assert!(tiny > 0.999, "{word}: acceptance {tiny} at a tiny step, 1 is due");
        assert!(
            tiny >= small && small > given && given > large && large < 0.5,
            "{word}: {small} {given} {large}"
        );
    }
}

#[test]
fn a_kernel_starts_with_all_that_its_steps_leave_and_repeats_itself() {
    tch::set_num_threads(1);
    for config in KernelConfig::examples() {
        let (word, kernel) = (config.word(), config.build(20));
        let start = Stream::new(5, "x").normal(&[30, 3, 2], Device::Cpu);
        let kept = start.copy();
        let there = |s: &ChainState| [&s.energy, &s.grad, &s.momentum, &s.square].map(|t| t.is_some());
        let state = kernel.start(&Bimodal, &start, &mut Stream::new(6, &word));
        let begun = there(&state);
        let (next, info) = kernel.step(&Bimodal, state, &mut Stream::new(6, &word));
        assert_eq!((next.step, there(&next)), (1, begun), "{word}");
        assert_eq!(info.accept_prob.is_some(), kernel.facts().exact, "{word}");
        let run = |seed| run_chain(&*kernel, &Bimodal, start.copy(), 20, &mut Stream::new(seed, &word)).x;
        assert_eq!(run(8), run(8), "{word}");
        assert_eq!(run(8) != run(9), kernel.facts().random, "{word}");
        assert_eq!(start, kept, "{word} leaves its start as it is");
        // A chain in two halves is the whole chain, unless its steps differ with their number.
        let rng = &mut Stream::new(8, &word);
        let mut state = kernel.start(&Bimodal, &start, rng);
        for _ in 0..20 {
            state = kernel.step(&Bimodal, state, rng).0;
        }
        assert_eq!(state.x, run(8), "{word}");
    }
}

#[test]
fn kernels_that_need_gradients_refuse_binary_states() {
    let space = Space {
        shape: vec![4],
        values: Values::Binary,
    };
    let all = KernelConfig::examples().into_iter();
    for config in all.filter(|k| k.build(1).facts().needs != Needs::Energies) {
        let refused = config.build(1).fits(&space).unwrap_err();
        assert!(refused.contains("binary"), "{}: {refused}", config.word());
    }
}
