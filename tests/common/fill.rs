//! Weights and images by the rule of golden/nn.py, so that no tensor of a golden value has to be stored.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

/// Numbers in [0, 1): an integer hash of the position, keyed by a hash of the name.
pub fn uniform(key: &str, count: i64) -> Vec<f64> {
    let seed = key
        .bytes()
        .fold(0x811C_9DC5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let hash = |i: u32| {
        let h = i.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
        let h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
        let h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
        h ^ (h >> 16)
    };
    (0..count as u32).map(|i| f64::from(hash(i)) / 2f64.powi(32)).collect()
}

/// The same in [-1, 1), in double precision.
pub fn signed(key: &str, count: i64) -> Tensor {
    Tensor::from_slice(&uniform(key, count)) * 2 - 1
}

/// The value of the tensor called `name`.
pub fn fill(name: &str, shape: &[i64], scales: &BTreeMap<String, f64>) -> Tensor {
    let count = shape.iter().product();
    let last = name.rsplit('.').next().unwrap();
    if last == "num_batches_tracked" {
        return Tensor::zeros(shape, (Kind::Int64, Device::Cpu));
    }
    let value = if shape.len() >= 2 {
        let fan_in: i64 = shape[1..].iter().product();
        signed(name, count) * (6.0 / fan_in as f64).sqrt() * scales.get(name).copied().unwrap_or(1.0)
    } else {
        match last {
            "bias" => (Tensor::from_slice(&uniform(name, count)) - 0.5) * 0.2,
            "weight" | "running_var" => Tensor::from_slice(&uniform(name, count)) + 0.5,
            _ => signed(name, count),
        }
    };
    value.to_kind(Kind::Float).view(shape)
}
