//! Effective samples per gradient of `nuts` and `hmc` on two targets that are known.
//!
//! `make bench-mixing` runs it and the same by blackjax; alone: `cargo bench --bench mixing`.

mod targets;

use std::time::Instant;

use ebm::rng::Stream;
use ebm::sampling::diagnostics::{ess_bulk, split_rhat};
use ebm::sampling::kernels::{Hmc, Nuts};
use ebm::sampling::{ChainState, KernelConfig, StepInfo, WarmUp, WarmUpConfig, Watch, run_chain_watched};
use targets::Target;
use tch::{Device, Kind, Tensor};

const CHAINS: i64 = 16;
const WARM_UP: usize = 1000;
const DRAWS: usize = 1000;
const SEEDS: u64 = 3;
/// Leapfrog steps of `hmc`, a number that is good for both targets once scales are found.
const LEAPFROG: usize = 8;

/// What is kept of chains: where they were, and how many gradients they took.
#[derive(Default)]
struct Kept {
    states: Vec<Tensor>,
    gradients: f64,
}

impl Watch for Kept {
    fn seen(&mut self, _: usize, state: &mut ChainState, info: &StepInfo) {
        self.states.push(state.x.copy());
        self.gradients += match &info.gradients {
            Some(each) => each.sum(Kind::Double).double_value(&[]),
            None => (LEAPFROG as i64 * CHAINS) as f64,
        };
    }
}

/// The kernels, each with the acceptance that its warm-up seeks.
fn kernels() -> [(KernelConfig, f64); 2] {
    let nuts = Nuts {
        step_size: 0.1,
        max_depth: 10,
        temperature: 1.0,
        mass: None,
    };
    let hmc = Hmc {
        step_size: 0.1,
        leapfrog_steps: LEAPFROG,
        temperature: 1.0,
        mass: None,
        jitter: 0.0,
    };
    [(KernelConfig::Nuts(nuts), 0.8), (KernelConfig::Hmc(hmc), 0.8)]
}

/// One line of the table.
fn measure(target: &dyn Target, (config, accept): &(KernelConfig, f64), seed: u64) -> String {
    let (kernel, shape) = (config.build(DRAWS), [target.numbers()]);
    let warm_up = WarmUpConfig {
        steps: WARM_UP,
        accept: *accept,
        mass: true,
        swaps: None,
    };
    let mut warm_up = WarmUp::new(warm_up, &*kernel, &shape, Device::Cpu);
    let rng = &mut Stream::new(seed, "mixing");
    let start = rng.normal(&[CHAINS, shape[0]], Device::Cpu);
    let x = run_chain_watched(&*kernel, target.energy(), start, WARM_UP, rng, &mut warm_up).x;
    let (mut kept, begun) = (Kept::default(), Instant::now());
    let mut both = ebm::sampling::Both(&mut warm_up, &mut kept);
    let end = run_chain_watched(&*kernel, target.energy(), x, DRAWS, rng, &mut both);
    let seconds = begun.elapsed().as_secs_f64();
    let states = Tensor::stack(&kept.states, 0);
    // The worst of all numbers of a state, and of their squares.
    let (mut least, mut worst) = (f64::INFINITY, 1f64);
    for i in 0..shape[0] {
        let trace = states.select(2, i);
        for trace in [trace.shallow_clone(), trace.square()] {
            least = least.min(ess_bulk(&trace).unwrap_or(f64::NAN));
            worst = worst.max(split_rhat(&trace).unwrap_or(f64::NAN));
        }
    }
    format!(
        "| ours | {} | {} | {seed} | {:.2} | {:.1} | {least:.0} | {:.2} | {worst:.3} | {seconds:.1} |",
        target.name(),
        config.word(),
        end.accept.expect("a kernel that rejects").double_value(&[]),
        kept.gradients / (CHAINS as usize * DRAWS) as f64,
        1000.0 * least / kept.gradients,
    )
}

fn main() {
    tch::set_num_threads(1);
    for target in targets::all() {
        for kernel in kernels() {
            for seed in 0..SEEDS {
                println!("{}", measure(&*target, &kernel, seed));
            }
        }
    }
}
