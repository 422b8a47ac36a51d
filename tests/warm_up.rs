//! What a warm-up finds: step sizes, the scales of a state, a ladder of temperatures.

mod common;

use common::targets::*;
use ebm::rng::Stream;
use ebm::sampling::kernels::Nuts;
use ebm::sampling::{Both, ChainState, KernelConfig, StepInfo, WarmUp, WarmUpConfig, Watch, run_chain_watched};
use tch::{Device, Kind, Tensor};

/// Standard deviations that differ by a factor of 40.
const SCALES: [f64; 2] = [0.05, 2.0];

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
