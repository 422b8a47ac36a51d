//! In which precision and mode the network computes along a chain.

use std::time::{Duration, Instant};

use tch::{Cuda, Device, Kind, Tensor};

use crate::config::{NetworkMode, Precision};
use crate::nn::Mode;

/// Turns `auto` into bf16 where the device is faster with it, f32 elsewhere; what was asked for by name stays.
///
/// A CPU is asked for its instructions (AVX-512 BF16 or AMX); a CUDA device, which tch cannot ask, multiplies two
/// matrices both ways.
pub fn resolve_precision(asked: Precision, device: Device) -> Precision {
    let bf16 = match (asked, device) {
        (Precision::F32, _) => false,
        (Precision::Bf16, _) => true,
        (Precision::Auto, Device::Cpu) => cpu_has_bf16(),
        (Precision::Auto, Device::Cuda(index)) => cuda_time(index, Kind::BFloat16) < cuda_time(index, Kind::Float),
        (Precision::Auto, _) => false,
    };
    if bf16 { Precision::Bf16 } else { Precision::F32 }
}

/// The kind of a network's weights and activations; `auto` that was not resolved counts as f32.
pub fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Bf16 => Kind::BFloat16,
        Precision::F32 | Precision::Auto => Kind::Float,
    }
}

/// The mode of a network's passes along a chain.
pub fn mode_of(mode: NetworkMode) -> Mode {
    match mode {
        NetworkMode::Evaluation => Mode::Eval,
        NetworkMode::Training => Mode::TrainUnrecorded,
    }
}

fn cpu_has_bf16() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else {
        return false;
    };
    let flags = text.lines().find(|l| l.starts_with("flags"));
    flags.is_some_and(|l| l.split_whitespace().any(|f| f == "avx512_bf16" || f == "amx_bf16"))
}

fn cuda_time(index: usize, kind: Kind) -> Duration {
    let a = Tensor::ones([2048, 2048], (kind, Device::Cuda(index)));
    let run = || {
        let clock = Instant::now();
        (0..8).for_each(|_| drop(a.matmul(&a)));
        Cuda::synchronize(index as i64);
        clock.elapsed()
    };
    // The first runs load libraries and choose an algorithm.
    run();
    run()
}
