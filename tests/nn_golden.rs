//! Networks against PyTorch: names, energies, gradients and buffers, for every file in models/ and every kind of layer.

use std::collections::BTreeMap;
use std::path::Path;

use ebm::config::{ModelConfig, yaml};
use ebm::nn::{Mode, Network, describe};
use ebm::rng::Stream;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

/// Single precision is off by at most 1.4e-6 of the largest energy in PyTorch itself (printed by nn.py); ten times that.
const ENERGY_TOLERANCE: f64 = 1.5e-5;
/// And by at most 3.9e-6 of a gradient's or buffer's norm; ten times that.
const DIGEST_TOLERANCE: f64 = 4e-5;

/// The norm, and the products with two random directions.
type Digest = [f64; 3];

#[derive(Deserialize)]
struct Case {
    input: Vec<i64>,
    scales: BTreeMap<String, f64>,
    state: Vec<(String, Vec<i64>)>,
    parameters: Vec<String>,
    buffers: BTreeMap<String, Digest>,
    train: Pass,
    eval: Pass,
}

#[derive(Deserialize)]
struct Pass {
    energy: Vec<f64>,
    grad_x: Digest,
    grads: BTreeMap<String, Digest>,
}

fn case(name: &str) -> Case {
    let mut all: BTreeMap<String, Case> = serde_json::from_str(include_str!("golden/nn.json")).unwrap();
    all.remove(name).unwrap()
}

/// Numbers in [0, 1) by the rule of nn.py.
fn uniform(key: &str, count: i64) -> Vec<f64> {
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

fn signed(key: &str, count: i64) -> Tensor {
    Tensor::from_slice(&uniform(key, count)) * 2 - 1
}

/// The value of the tensor called `name` by the rule of nn.py.
fn fill(name: &str, shape: &[i64], scales: &BTreeMap<String, f64>) -> Tensor {
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

fn digest(name: &str, tensor: &Tensor) -> Digest {
    let t = tensor.detach().to_kind(Kind::Double).flatten(0, -1);
    let along = |way: &str| {
        t.dot(&signed(&format!("{name}/{way}"), t.numel() as i64))
            .double_value(&[])
    };
    [t.norm().double_value(&[]), along("a"), along("b")]
}

fn assert_digest(case: &str, name: &str, tensor: &Tensor, expected: &Digest) {
    let found = digest(name, tensor);
    for (f, e) in found.iter().zip(expected) {
        let off = (f - e).abs() / expected[0];
        assert!(
            off <= DIGEST_TOLERANCE,
            "{case}: {name} is off by {off:e} of its norm: {found:?}, expected {expected:?}"
        );
    }
}

fn assert_pass(case: &str, net: &Network, x: &Tensor, mode: Mode, expected: &Pass) {
    for (_, p) in net.parameters() {
        p.shallow_clone().zero_grad();
    }
    let x = x.copy().set_requires_grad(true);
    let energy = net.forward(&x, mode);
    assert_eq!((energy.size(), energy.kind()), (vec![x.size()[0]], Kind::Float));
    energy.sum(Kind::Float).backward();
    let size = expected.energy.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    for (i, e) in expected.energy.iter().enumerate() {
        let off = (energy.double_value(&[i as i64]) - e).abs() / size;
        assert!(
            off <= ENERGY_TOLERANCE,
            "{case}, {mode:?}: energy {i} is off by {off:e}"
        );
    }
    assert_digest(case, "x", &x.grad(), &expected.grad_x);
    assert_eq!(net.parameters().len(), expected.grads.len());
    for (name, p) in net.parameters() {
        assert_digest(case, name, &p.grad(), &expected.grads[name]);
    }
}

/// The same passes as nn.py: two in training for the buffers' sake, one with gradients, one in evaluation.
fn check(name: &str, model: &ModelConfig) {
    let golden = case(name);
    let net = Network::new(model, Device::Cpu, &mut Stream::new(0, "init")).unwrap();
    let shapes: Vec<(String, Vec<i64>)> = net.state().iter().map(|(n, t)| (n.clone(), t.size())).collect();
    assert_eq!(shapes, golden.state, "{name}: PyTorch's state_dict");
    let parameters: Vec<&String> = net.parameters().iter().map(|(n, _)| n).collect();
    assert_eq!(parameters, golden.parameters.iter().collect::<Vec<_>>());
    let counted: i64 = net.parameters().iter().map(|(_, p)| p.numel() as i64).sum();
    assert_eq!(
        describe(model, Path::new(name)).unwrap().params as i64,
        counted,
        "{name}: parameters"
    );

    let state = shapes
        .iter()
        .map(|(n, shape)| (n.clone(), fill(n, shape, &golden.scales)));
    net.load(&state.collect(), "golden values").unwrap();
    let count = golden.input.iter().product();
    let x = signed("x", count).to_kind(Kind::Float).view(golden.input.as_slice());
    for _ in 0..2 {
        let _guard = tch::no_grad_guard();
        let _ = net.forward(&x, Mode::Train);
    }
    assert_pass(name, &net, &x, Mode::Train, &golden.train);
    for (n, t) in net.state().iter().filter(|(n, _)| golden.buffers.contains_key(n)) {
        assert_digest(name, n, t, &golden.buffers[n]);
    }
    assert_pass(name, &net, &x, Mode::Eval, &golden.eval);
}

fn check_file(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.yaml"));
    check(name, &yaml::load(&path).unwrap());
}

fn check_text(name: &str, text: &str) {
    let file = Path::new(name);
    check(name, &yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap());
}

#[test]
fn mnist_equals_pytorch() {
    check_file("mnist");
}

#[test]
fn strokes_equals_pytorch() {
    check_file("strokes");
}

#[test]
fn uva_tutorial8_equals_pytorch() {
    check_file("uva_tutorial8");
}

#[test]
fn vanilla_convnet_equals_pytorch() {
    check_file("vanilla_convnet");
}

#[test]
fn xie_generative_convnet_equals_pytorch() {
    check_file("xie_generative_convnet");
}

#[test]
fn igebm_cifar10_equals_pytorch() {
    check_file("igebm_cifar10");
}

/// Batch norm over images and rows, group norm, residual blocks with each kind of shortcut, a normalised linear layer.
#[test]
fn norms_equal_pytorch() {
    check_text(
        "norms",
        "
name: norms
input: [4, 8, 8]
layers:
  - conv: {out: 8, kernel: 3, padding: 1, bias: false}
  - batch_norm: {eps: 1.0e-3, momentum: 0.2}
  - elu
  - residual:
      branch:
        - conv: {out: 8, kernel: 3, padding: 1}
        - group_norm: {groups: 4}
        - softplus
        - conv: {out: 12, kernel: 3, stride: 2, padding: 1}
      shortcut:
        - avg_pool: {size: 2}
        - conv: {out: 12, kernel: 1}
  - max_pool: {size: 3, stride: 2, padding: 1}
  - residual:
      branch:
        - relu
        - conv: {out: 12, kernel: 1}
  - relu
  - global_avg_pool
  - batch_norm: {}
  - linear: {out: 6, spectral_norm: {iterations: 2}}
  - silu
  - linear: {out: 1}
",
    );
}

/// Every pool, and spectral norm with its bound on either side of 1.
#[test]
fn pools_and_bounds_equal_pytorch() {
    check_text(
        "pools",
        "
name: pools
input: [3, 10, 10]
layers:
  - conv: {out: 6, kernel: 3, spectral_norm: {bound: true}}
  - relu
  - sum_pool: {size: 2}
  - conv: {out: 6, kernel: 3, padding: 1, bias: false, spectral_norm: {bound: true}}
  - elu
  - group_norm: {groups: 1}
  - leaky_relu: {}
  - avg_pool: {size: 3, stride: 1, padding: 1}
  - sum_features
",
    );
}

/// A file in models/ without golden values would go untested.
#[test]
fn every_model_file_has_golden_values() {
    let golden: BTreeMap<String, serde_json::Value> = serde_json::from_str(include_str!("golden/nn.json")).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(golden.contains_key(&name), "{} has no case in nn.py", path.display());
    }
}
