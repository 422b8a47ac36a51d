//! In which precision and memory layout a model computes along a chain; what is left open is measured.

use std::time::{Duration, Instant};

use tch::{Cuda, Device, Kind, Tensor};

use super::compute_config::{self as config, ComputeConfig, Precision};
use super::contract::{Form, FrozenModel, Model};
use crate::energy::energy_and_grad;
use crate::nn::{Layout, Mode};
use crate::rng::Stream;

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

/// Writes a choice into `compute` where it leaves precision or layout open, by measuring the model's gradient at
/// batches of `images`; what was asked for by name stays. Returns what was measured.
///
/// On a CPU without instructions for bf16 (AVX-512 BF16 or AMX) f32 is chosen unmeasured.
pub fn resolve_auto(compute: &mut ComputeConfig, mode: Mode, model: &dyn Model, images: usize) -> Vec<Candidate> {
    let mut candidates = candidates(compute, model);
    if let [only] = candidates[..] {
        (compute.precision, compute.layout) = (only.precision, only.layout);
        return Vec::new();
    }
    let images = compute.chain_batch.unwrap_or(images).min(images).max(1);
    measure(&mut candidates, (compute, mode), model, images as i64);
    let chosen = choose(&candidates);
    (compute.precision, compute.layout) = (chosen.precision, chosen.layout);
    candidates
}

/// The form that chains run in: a frozen copy of the model in `mode`; `temperature` is the run's T.
pub fn chain_form(compute: &ComputeConfig, mode: Mode, temperature: f64) -> Form {
    Form {
        mode,
        kind: kind_of(compute.precision),
        layout: layout_of(compute.layout),
        temperature,
        most: compute.chain_batch,
    }
}

/// The form that scores of a run are made in: f32, in the run's layout, at the run's temperature.
pub fn score_form(compute: &ComputeConfig, temperature: f64) -> Form {
    Form {
        layout: layout_of(compute.layout),
        ..Form::plain(temperature)
    }
}

/// What is open, spelt out.
fn candidates(compute: &ComputeConfig, model: &dyn Model) -> Vec<Candidate> {
    let device = model.device();
    let precisions = match compute.precision {
        Precision::Auto if !model.has_forms() => vec![Precision::F32],
        Precision::Auto if device != Device::Cpu || cpu_has_bf16() => vec![Precision::F32, Precision::Bf16],
        Precision::Auto => vec![Precision::F32],
        named => vec![named],
    };
    let layouts = match compute.layout {
        config::Layout::Auto if !model.has_forms() => vec![config::Layout::Contiguous],
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
fn measure(candidates: &mut [Candidate], (compute, mode): (&ComputeConfig, Mode), model: &dyn Model, images: i64) {
    let energy = |c: &Candidate| {
        let compute = ComputeConfig {
            precision: c.precision,
            layout: c.layout,
            ..compute.clone()
        };
        model.freeze(chain_form(&compute, mode, 1.0))
    };
    let energies: Vec<Box<dyn FrozenModel>> = candidates.iter().map(energy).collect();
    let images = affordable(&energies, model, images);
    let x = noise(model, images);
    let clock = Instant::now();
    for round in 0..=ROUNDS {
        for (candidate, energy) in candidates.iter_mut().zip(&energies) {
            let time = time(&**energy, &x);
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
fn affordable(energies: &[Box<dyn FrozenModel>], model: &dyn Model, images: i64) -> i64 {
    let mut n = 1;
    loop {
        let x = noise(model, n);
        // The first round prepares the kernels.
        let [_, once] = [(); 2].map(|()| energies.iter().map(|e| time(&**e, &x)).sum::<Duration>());
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
fn noise(model: &dyn Model, images: i64) -> Tensor {
    let size = model.space().batch(images);
    Stream::new(0, "measure").uniform(&size, -1.0, 1.0, model.device())
}

fn time(frozen: &dyn FrozenModel, x: &Tensor) -> Duration {
    let clock = Instant::now();
    drop(energy_and_grad(&frozen.outputs().any(), x));
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

/// The kind of a model's weights and activations; `auto` that was not resolved counts as f32.
pub fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Bf16 => Kind::BFloat16,
        Precision::F32 | Precision::Auto => Kind::Float,
    }
}

/// How a model's images lie; `auto` that was not resolved counts as contiguous.
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
