//! In which precision and memory layout the network computes along a chain; what is left open is measured.

use std::time::{Duration, Instant};

use tch::{Cuda, Device, Kind, Tensor};

use super::compute_config::{self as config, ComputeConfig, Precision};
use super::{FrozenEnergy, energy_and_grad};
use crate::nn::{Layout, Mode, Network};
use crate::rng::Stream;
use crate::space::Space;

/// How long the candidates are measured for in all, unless one pass of a single image takes longer.
const BUDGET: Duration = Duration::from_millis(400);

/// Most rounds, in each of which every candidate makes one pass.
const ROUNDS: u32 = 20;

/// bf16 is chosen where f32, and contiguous images where channels-last, takes this many times as long at least: bits are
/// not given away for less, and noise does not choose.
const WORTH: f64 = 1.1;

/// A way to compute, and the time of a pass and its gradient where it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Of weights and activations; never `auto`.
    pub precision: Precision,
    /// Of images and weights; never `auto`.
    pub layout: config::Layout,
    /// For so many images.
    pub images: i64,
    /// Of the fastest pass.
    pub time: Duration,
}

/// Writes a choice into `compute` where it leaves precision or layout open, by measuring the network's gradient at
/// batches of `images`; what was asked for by name stays. Returns what was measured.
///
/// On a CPU without instructions for bf16 (AVX-512 BF16 or AMX) f32 is chosen unmeasured.
pub fn resolve_auto(compute: &mut ComputeConfig, mode: Mode, network: &Network, images: usize) -> Vec<Candidate> {
    let mut candidates = candidates(compute, network.device());
    if let [only] = candidates[..] {
        (compute.precision, compute.layout) = (only.precision, only.layout);
        return Vec::new();
    }
    let images = compute.chain_batch.unwrap_or(images).min(images).max(1);
    measure(&mut candidates, (compute, mode), network, images as i64);
    let chosen = choose(&candidates);
    (compute.precision, compute.layout) = (chosen.precision, chosen.layout);
    candidates
}

/// The energy that chains run on: a frozen copy of the network in `mode`; `temperature` is the run's T.
pub fn chain_energy(compute: &ComputeConfig, mode: Mode, network: &Network, temperature: f64) -> FrozenEnergy {
    let (kind, layout) = (kind_of(compute.precision), layout_of(compute.layout));
    FrozenEnergy::new_in(network, kind, layout, temperature)
        .in_mode(mode)
        .in_parts(compute.chain_batch)
}

/// The energy that scores of a run are made of: a frozen copy of its network in f32 and in the run's
/// layout, at the run's temperature.
pub fn score_energy(compute: &ComputeConfig, network: &Network, temperature: f64) -> FrozenEnergy {
    FrozenEnergy::new_in(network, Kind::Float, layout_of(compute.layout), temperature)
}

/// What is open, spelt out.
fn candidates(compute: &ComputeConfig, device: Device) -> Vec<Candidate> {
    let precisions = match compute.precision {
        Precision::Auto if device != Device::Cpu || cpu_has_bf16() => vec![Precision::F32, Precision::Bf16],
        Precision::Auto => vec![Precision::F32],
        named => vec![named],
    };
    let layouts = match compute.layout {
        config::Layout::Auto => vec![config::Layout::ChannelsLast, config::Layout::Contiguous],
        named => vec![named],
    };
    let of = |precision: Precision| {
        layouts.clone().into_iter().map(move |layout| Candidate {
            precision,
            layout,
            images: 0,
            time: Duration::MAX,
        })
    };
    precisions.into_iter().flat_map(of).collect()
}

/// Fills in the times: the least of several rounds, in which the candidates take turns.
fn measure(candidates: &mut [Candidate], (compute, mode): (&ComputeConfig, Mode), network: &Network, images: i64) {
    let energy = |c: &Candidate| {
        let compute = ComputeConfig {
            precision: c.precision,
            layout: c.layout,
            ..compute.clone()
        };
        chain_energy(&compute, mode, network, 1.0)
    };
    let energies: Vec<FrozenEnergy> = candidates.iter().map(energy).collect();
    let images = affordable(&energies, network, images);
    let x = noise(network, images);
    let clock = Instant::now();
    for round in 0..=ROUNDS {
        for (candidate, energy) in candidates.iter_mut().zip(&energies) {
            let time = time(energy, &x);
            candidate.images = images;
            if round > 0 {
                candidate.time = candidate.time.min(time);
            }
        }
        if round > 0 && clock.elapsed() > BUDGET {
            break;
        }
    }
}

/// The largest batch, up to `images`, of which every candidate fits into the budget twice.
fn affordable(energies: &[FrozenEnergy], network: &Network, images: i64) -> i64 {
    let mut n = 1;
    loop {
        let x = noise(network, n);
        // The first round prepares the kernels.
        let [_, once] = [(); 2].map(|()| energies.iter().map(|e| time(e, &x)).sum::<Duration>());
        let fits = n as f64 * BUDGET.as_secs_f64() / (2.0 * once.as_secs_f64());
        let next = images.min(fits as i64).max(n);
        // Small batches take more than their share, so what a larger one takes is looked at again.
        if next < 2 * n {
            return next;
        }
        n = next;
    }
}

/// Images that no run's numbers depend on.
fn noise(network: &Network, images: i64) -> Tensor {
    let size = Space::of(&network.config().input).batch(images);
    Stream::new(0, "measure").uniform(&size, -1.0, 1.0, network.device())
}

fn time(energy: &FrozenEnergy, x: &Tensor) -> Duration {
    let clock = Instant::now();
    drop(energy_and_grad(energy, x));
    if let Device::Cuda(index) = x.device() {
        Cuda::synchronize(index as i64);
    }
    clock.elapsed()
}

/// The fastest, if by enough; `candidates` are all of both layouts, or all of one.
fn choose(candidates: &[Candidate]) -> Candidate {
    let seconds = |c: &Candidate| c.time.as_secs_f64();
    let of_precision = |precision| {
        let those = candidates.iter().filter(move |c| c.precision == precision);
        // Channels-last stands first.
        those
            .copied()
            .reduce(|first, other| match seconds(&first) > WORTH * seconds(&other) {
                true => other,
                false => first,
            })
    };
    match [Precision::F32, Precision::Bf16].map(of_precision) {
        [Some(full), Some(half)] if seconds(&full) > WORTH * seconds(&half) => half,
        [Some(full), _] => full,
        [None, half] => half.expect("there is a candidate"),
    }
}

/// The kind of a network's weights and activations; `auto` that was not resolved counts as f32.
pub fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Bf16 => Kind::BFloat16,
        Precision::F32 | Precision::Auto => Kind::Float,
    }
}

/// How a network's images lie; `auto` that was not resolved counts as contiguous.
pub fn layout_of(layout: config::Layout) -> Layout {
    match layout {
        config::Layout::ChannelsLast => Layout::ChannelsLast,
        config::Layout::Contiguous | config::Layout::Auto => Layout::Contiguous,
    }
}

fn cpu_has_bf16() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else {
        return false;
    };
    let flags = text.lines().find(|l| l.starts_with("flags"));
    flags.is_some_and(|l| l.split_whitespace().any(|f| f == "avx512_bf16" || f == "amx_bf16"))
}
