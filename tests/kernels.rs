//! All kernels through one test: what claims an exact target keeps it, from exact draws and from a
//! point, at temperature 1 and at another, whatever the shape of a state.
//!
//! A mean is held to five Monte Carlo standard errors of its own effective sample size, which chance
//! exceeds once in two million.

use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::rng::Stream;
use ebm::sampling::diagnostics::mcse_mean;
use ebm::sampling::kernels::{Nuts, Preconditioned, Stein, Underdamped};
use ebm::sampling::{
    Both, ChainState, Kernel, KernelConfig, Needs, StepInfo, WarmUp, WarmUpConfig, Watch, run_chain, run_chain_watched,
};
use ebm::space::{Space, Values, sum_each};
use tch::{Device, Kind, Tensor};

const SIGMAS: f64 = 5.0;

/// A correlated Gaussian over the first two numbers of a state; the others are N(0, 1).
struct Correlated;

const MEAN: [f64; 2] = [1.0, -0.5];
/// xx, xy, yy
const COVARIANCE: [f64; 3] = [1.2, 0.5, 0.6];

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
struct Bimodal;

const MODES: [(f64, f64); 2] = [(-1.0, 0.3), (1.5, 0.7)];
const WIDTH: f64 = 0.8;

impl Energy for Bimodal {
    fn energy(&self, x: &Tensor) -> Tensor {
        let log = MODES.map(|(at, weight)| (x - at).square() * (-0.5 / WIDTH.powi(2)) + weight.ln());
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }
}

/// N(0, 1) cut off above 0.5: what lies beyond has an infinite energy.
struct Walled;

const WALL: f64 = 0.5;

impl Energy for Walled {
    fn energy(&self, x: &Tensor) -> Tensor {
        let inside = x.square() * 0.5;
        sum_each(&inside.where_self(&x.le(WALL), &Tensor::from(f32::INFINITY)))
    }
}

/// A function of states and its mean.
type Mean = (fn(&Tensor) -> Tensor, f64);

/// A target with exact draws and the means of some functions, at a temperature.
struct Target {
    name: &'static str,
    energy: Box<dyn Energy>,
    temperature: f64,
    draw: fn(&[i64], f64, &mut Stream) -> Tensor,
    /// Functions of states `[B,..]`, `[B]` each, and their means at the temperature.
    means: Vec<Mean>,
}

fn first(x: &Tensor) -> Tensor {
    x.flatten(1, -1).select(1, 0)
}

fn second(x: &Tensor) -> Tensor {
    x.flatten(1, -1).select(1, 1)
}

fn correlated(temperature: f64) -> Target {
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

fn bimodal() -> Target {
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

fn walled() -> Target {
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
fn with(config: &KernelConfig, key: &str, value: f64) -> KernelConfig {
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

/// The kernel of an example at a temperature.
fn at_temperature(config: &KernelConfig, temperature: f64) -> Box<dyn Kernel> {
    let kernel = with(config, "temperature", temperature).build(1);
    assert_eq!(kernel.facts().temperature, temperature, "{}", config.word());
    kernel
}

/// Every kernel that claims an exact target.
fn exact() -> Vec<KernelConfig> {
    let all = KernelConfig::examples();
    let exact: Vec<KernelConfig> = all.into_iter().filter(|k| k.build(1).facts().exact).collect();
    assert!(exact.len() >= 3);
    exact
}

/// Holds the means over the steps after `skipped` to those of the target.
fn keeps(kernel: &dyn Kernel, word: &str, target: &Target, start: Tensor, (steps, skipped): (usize, usize)) {
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

fn tensor(numbers: [f64; 2]) -> Tensor {
    Tensor::from_slice(&numbers).to_kind(Kind::Float)
}

/// Independent normal numbers of these standard deviations.
struct Unequal([f64; 2]);

impl Energy for Unequal {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&(x / tensor(self.0)).square()) * 0.5
    }
}

/// Standard deviations that differ by a factor of 40.
const SCALES: [f64; 2] = [0.05, 2.0];

/// Standard normal numbers.
struct Normal;

impl Energy for Normal {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&x.square()) * 0.5
    }
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

/// What is accepted after a warm-up, which writes no more once it is done.
#[test]
fn a_warm_up_finds_the_wanted_acceptance_from_either_side() {
    tch::set_num_threads(1);
    for config in exact() {
        let (word, kernel) = (config.word(), config.build(1));
        let Some(own) = kernel.step_size() else {
            continue;
        };
        for wrong in [0.02, 20.0] {
            let begun = with(&config, "step_size", own * wrong);
            let (kernel, steps, accept) = (begun.build(1), 400, 0.7);
            let config = WarmUpConfig {
                steps,
                accept,
                mass: false,
                swaps: None,
            };
            let mut warm_up = WarmUp::new(config, &*kernel, &[2], Device::Cpu);
            let rng = &mut Stream::new(9, &word);
            let start = (correlated(1.0).draw)(&[500, 2], 1.0, rng);
            let x = run_chain_watched(&*kernel, &Correlated, start, steps, rng, &mut warm_up).x;
            assert!(warm_up.is_done());
            let found = warm_up.step_size().double_value(&[]);
            let after = run_chain_watched(&*kernel, &Correlated, x, 100, rng, &mut warm_up);
            let accepted = after.accept.unwrap().double_value(&[]);
            assert!(
                (accepted - accept).abs() < 0.05,
                "{word} from {wrong}: {accepted} with {found}"
            );
            assert_eq!(warm_up.step_size().double_value(&[]), found, "{word}: it is found once");
        }
    }
}

/// A warm-up finds each number's scale, within what its last window tells; with it a kernel goes
/// across all of them at one acceptance.
#[test]
fn a_warm_up_finds_the_scales_of_a_state() {
    tch::set_num_threads(1);
    for config in exact() {
        let (word, kernel) = (config.word(), config.build(1));
        if kernel.step_size().is_none() {
            continue;
        }
        let warm_up = WarmUpConfig {
            steps: 1200,
            accept: 0.7,
            mass: true,
            swaps: None,
        };
        let mut warm_up = WarmUp::new(warm_up, &*kernel, &[2], Device::Cpu);
        let rng = &mut Stream::new(9, &word);
        let start = rng.normal(&[200, 2], Device::Cpu);
        let x = run_chain_watched(&*kernel, &Unequal(SCALES), start, 1200, rng, &mut warm_up).x;
        let found = warm_up.scale().expect("a scale").copy();
        let ratio = &found / tensor(SCALES);
        let (low, high) = (ratio.min().double_value(&[]), ratio.max().double_value(&[]));
        assert!(low > 0.85 && high < 1.15, "{word}: {low} and {high} of the scales");
        let after = run_chain_watched(&*kernel, &Unequal(SCALES), x, 100, rng, &mut warm_up);
        let accepted = after.accept.unwrap().double_value(&[]);
        assert!((accepted - 0.7).abs() < 0.06, "{word}: {accepted}");
        assert_eq!(warm_up.scale().unwrap(), &found, "{word}: it is found once");
    }
}

#[test]
fn a_warm_up_goes_on_from_its_state_bit_for_bit() {
    tch::set_num_threads(1);
    let config = KernelConfig::Nuts(Nuts {
        step_size: 0.5,
        max_depth: 4,
        temperature: 1.0,
        mass: None,
    });
    let kernel = config.build(1);
    let make = || {
        WarmUp::new(
            WarmUpConfig {
                steps: 60,
                accept: 0.8,
                mass: true,
                swaps: None,
            },
            &*kernel,
            &[2],
            Device::Cpu,
        )
    };
    let run = |x: &Tensor, steps: usize, seed: u64, w: &mut WarmUp| {
        run_chain_watched(
            &*kernel,
            &Unequal(SCALES),
            x.copy(),
            steps,
            &mut Stream::new(seed, "chain"),
            w,
        )
        .x
    };
    let start = Stream::new(3, "start").normal(&[50, 2], Device::Cpu);
    for cut in [5, 20, 50] {
        let mut whole = make();
        let middle = run(&start, cut, 1, &mut whole);
        let state = whole.state().into_iter().map(|(name, t)| (name, t.copy())).collect();
        let end = run(&middle, 60 - cut, 2, &mut whole);
        let mut resumed = make();
        resumed.load_state(&state, "the state").unwrap();
        assert_eq!(run(&middle, 60 - cut, 2, &mut resumed), end, "cut after {cut}");
        assert_eq!(resumed.state(), whole.state());
        assert!(resumed.is_done());
    }
}

/// Two modes of deviation 0.3 at -4 and 3, of weights 0.3 and 0.7, on one number.
struct Distant;

const APART: [(f64, f64); 2] = [(-4.0, 0.3), (3.0, 0.7)];

impl Energy for Distant {
    fn energy(&self, x: &Tensor) -> Tensor {
        let log = APART.map(|(at, weight)| (x - at).square() * (-0.5 / 0.09) + weight.ln());
        sum_each(&log[0].logaddexp(&log[1])).neg()
    }
}

fn kernel(text: &str) -> KernelConfig {
    let place = std::path::Path::new("kernel");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
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

/// From a ladder that swaps too seldom and from one that swaps too often.
#[test]
fn a_warm_up_spaces_a_ladder_until_neighbours_swap_as_wanted() {
    tch::set_num_threads(1);
    for (temperatures, dimension) in [("[50, 3000]", 10), ("[1.1, 1.2]", 10)] {
        let text = format!("{{tempering: {{kernel: {{mala: {{step_size: 0.2}}}}, temperatures: {temperatures}}}}}");
        let built = kernel(&text).build(1);
        let config = WarmUpConfig {
            steps: 1500,
            accept: 0.6,
            mass: false,
            swaps: Some(0.4),
        };
        let mut warm_up = WarmUp::new(config, &*built, &[dimension], Device::Cpu);
        let rng = &mut Stream::new(2, "ladder");
        let start = rng.normal(&[100, dimension], Device::Cpu);
        let x = run_chain_watched(&*built, &Normal, start, 1500, rng, &mut warm_up).x;
        let ladder = warm_up.ladder().unwrap().copy();
        // Replicas start where their chains are: the first steps are not those of the ladder.
        let mut swaps = Swaps(Vec::new());
        run_chain_watched(&*built, &Normal, x, 600, rng, &mut Both(&mut warm_up, &mut swaps));
        let mean = Tensor::stack(&swaps.0[200..], 0).mean_dim([0i64].as_slice(), false, Kind::Float);
        let apart = (mean.copy() - 0.4).abs().max().double_value(&[]);
        assert!(apart < 0.05, "{temperatures}: {mean} with {ladder}");
        assert_eq!(warm_up.ladder().unwrap(), &ladder, "it is found once");
        // Of Gaussians in d dimensions, equal swaps want equal ratios of temperatures.
        let ratio = |i: i64| ladder.double_value(&[i + 1]) / ladder.double_value(&[i]);
        assert!((ratio(0) / ratio(1) - 1.0).abs() < 0.1, "{ladder}");
    }
}

/// Keeps how often neighbours swap.
struct Swaps(Vec<Tensor>);

impl Watch for Swaps {
    fn seen(&mut self, _: usize, _: &mut ChainState, info: &StepInfo) {
        self.0.push(info.swap_prob.as_ref().expect("swaps").copy());
    }
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
