//! Throughput of the Langevin chain and of the network's forward pass plus input gradient alone, in alternation:
//! images x steps per second, and what the chain adds, for f32 and bf16.
//!
//! Run with `cargo bench --bench chain [-- models/x.yaml ...]`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ebm::config::{ModelConfig, SamplerConfig, yaml};
use ebm::energy::{FrozenEnergy, energy_and_grad};
use ebm::nn::Network;
use ebm::rng::Stream;
use ebm::sampling::{Langevin, run_chain};
use tch::{Device, Kind};

const BATCH: i64 = 64;
const STEPS: usize = 20;
const ROUNDS: usize = 9;

/// The chain of experiments/mnist.yaml.
const SAMPLER: &str = "
n_steps: 20
step_size: 10
noise_scale: 0.005
grad_clip: {value: 0.03}
clamp: [-1, 1]
order: [noise, clamp, gradient, clamp]
";

fn main() -> ebm::Result<()> {
    let named: Vec<PathBuf> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .map(PathBuf::from)
        .collect();
    let files = if named.is_empty() {
        vec!["models/mnist.yaml".into(), "models/vanilla_convnet.yaml".into()]
    } else {
        named
    };
    println!(
        "batch {BATCH}, K = {STEPS}, {} threads, {ROUNDS} alternating rounds\n",
        tch::get_num_threads()
    );
    println!(
        "{:<30} {:>5} {:>14} {:>14} {:>22}",
        "network", "kind", "chain", "network alone", "ratio (min..max)"
    );
    for file in files {
        for kind in [Kind::Float, Kind::BFloat16] {
            measure(&file, kind)?;
        }
    }
    Ok(())
}

fn measure(file: &Path, kind: Kind) -> ebm::Result<()> {
    let model: ModelConfig = yaml::load(file)?;
    let sampler: SamplerConfig = yaml::typed(yaml::parse(SAMPLER, file)?, file)?;
    let mut rng = Stream::new(0, "bench");
    let network = Network::new(&model, Device::Cpu, &mut rng)?;
    let kernel = Langevin::new(&sampler, STEPS);
    let energy = FrozenEnergy::new(&network, kind, kernel.temperature());
    let [c, h, w] = model.input;
    let x = rng.uniform(&[BATCH, c, h, w], -1.0, 1.0, Device::Cpu);
    let mut chain = || drop(run_chain(&kernel, &energy, x.shallow_clone(), STEPS, &mut rng));
    let alone = || (0..STEPS).for_each(|_| drop(energy_and_grad(&energy, &x)));
    let mut rounds: Vec<(f64, f64)> = (0..=ROUNDS)
        .map(|_| (rate(&mut chain), rate(&mut || alone())))
        .collect();
    rounds.remove(0);
    let mut ratios: Vec<f64> = rounds.iter().map(|(a, b)| a / b).collect();
    let (chains, networks): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    let ratio = median(&mut ratios);
    println!(
        "{:<30} {:>5} {:>14.0} {:>14.0} {:>9.2} ({:.2}..{:.2})",
        model.name,
        if kind == Kind::Float { "f32" } else { "bf16" },
        median(&mut chains.clone()),
        median(&mut networks.clone()),
        ratio,
        ratios[0],
        ratios[ROUNDS - 1],
    );
    Ok(())
}

/// Images x steps per second of one run.
fn rate(work: &mut dyn FnMut()) -> f64 {
    let clock = Instant::now();
    work();
    (BATCH as usize * STEPS) as f64 / clock.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
