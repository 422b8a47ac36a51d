//! Networks against PyTorch: names, outputs, gradients and buffers, for every file in models/ and every kind of layer.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use ebm::config::yaml;
use ebm::models::ModelConfig;
use ebm::nn::NetworkConfig;
use ebm::nn::{Mode, Network, describe};
use ebm::rng::Stream;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use common::fill::{fill, signed};

/// Single precision is off by at most 1.4e-6 of the largest output in PyTorch itself (printed by nn.py); ten times that.
const OUTPUT_TOLERANCE: f64 = 1.5e-5;
/// And by 2e-6 to 4e-6 of a gradient's or buffer's norm, as the processor adds up; ten times that.
const DIGEST_TOLERANCE: f64 = 4e-5;
/// Where no image keeps all activations away from their kink (see nn.py), one of the 40,960 units of the smallest layer
/// may have the other slope: 0.8 / sqrt(40960), 4e-3 of that layer's gradient; five times that.
const KINK_TOLERANCE: f64 = 2e-2;

/// The norm, and the products with two random directions.
type Digest = [f64; 3];

#[derive(Deserialize)]
struct Case {
    input: Vec<i64>,
    image: String,
    scales: BTreeMap<String, f64>,
    state: Vec<(String, Vec<i64>)>,
    parameters: Vec<String>,
    buffers: BTreeMap<String, Digest>,
    /// None for a large network of a form that a smaller one has too.
    train: Option<Pass>,
    eval: Pass,
}

#[derive(Deserialize)]
struct Pass {
    out: Vec<f64>,
    grad_x: Digest,
    grads: BTreeMap<String, Digest>,
}

fn case(name: &str) -> Case {
    let mut all: BTreeMap<String, Case> = serde_json::from_str(include_str!("golden/nn.json")).unwrap();
    all.remove(name).unwrap()
}

fn digest(name: &str, tensor: &Tensor) -> Digest {
    let t = tensor.detach().to_kind(Kind::Double).flatten(0, -1);
    let along = |way: &str| {
        t.dot(&signed(&format!("{name}/{way}"), t.numel() as i64))
            .double_value(&[])
    };
    [t.norm().double_value(&[]), along("a"), along("b")]
}

fn assert_digest(case: &str, name: &str, tensor: &Tensor, expected: &Digest, size: f64, tolerance: f64) {
    let found = digest(name, tensor);
    for (f, e) in found.iter().zip(expected) {
        let off = (f - e).abs() / size;
        assert!(
            off <= tolerance,
            "{case}: {name} is off by {off:e} of its norm: {found:?}, expected {expected:?}"
        );
    }
}

fn assert_pass(case: &str, net: &Network, x: &Tensor, mode: Mode, expected: &Pass, tolerance: f64) {
    for (_, p) in net.parameters() {
        p.shallow_clone().zero_grad();
    }
    let x = x.copy().set_requires_grad(true);
    let out = net.forward(&x, mode);
    let shape: Vec<i64> = [x.size()[0]].into_iter().chain(net.classes()).collect();
    assert_eq!((out.size(), out.kind()), (shape, Kind::Float));
    weighted_sum(&out).backward();
    let largest = expected.out.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    let out = out.flatten(0, -1);
    for (i, e) in expected.out.iter().enumerate() {
        let off = (out.double_value(&[i as i64]) - e).abs() / largest;
        assert!(
            off <= OUTPUT_TOLERANCE,
            "{case}, {mode:?}: output {i} is off by {off:e}"
        );
    }
    assert_digest(case, "x", &x.grad(), &expected.grad_x, expected.grad_x[0], tolerance);
    assert_eq!(net.parameters().len(), expected.grads.len());
    let largest = expected.grads.values().fold(0.0, |m: f64, d| m.max(d[0]));
    for (name, p) in net.parameters() {
        let expected = &expected.grads[name];
        // Zero but for rounding, such as the gradient of a bias before batch norm: then the largest counts.
        let size = if expected[0] > 1e-9 * largest {
            expected[0]
        } else {
            largest
        };
        assert_digest(case, name, &p.grad(), expected, size, tolerance);
    }
}

/// What nn.py differentiates: the sum of energies, or of logits weighted so that no class is like another.
fn weighted_sum(out: &Tensor) -> Tensor {
    match out.dim() {
        1 => out.sum(Kind::Float),
        _ => (out * signed("classes", out.numel() as i64).to_kind(Kind::Float).view_as(out)).sum(Kind::Float),
    }
}

/// The same passes as nn.py: two in training for the buffers' sake, one with gradients, one in evaluation.
fn check(name: &str, model: &NetworkConfig) {
    // As the script does; and tests beside each other do not wait for one another's threads.
    tch::set_num_threads(1);
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
    let x = signed(&golden.image, count)
        .to_kind(Kind::Float)
        .view(golden.input.as_slice());
    let Some(train) = &golden.train else {
        return assert_pass(name, &net, &x, Mode::Eval, &golden.eval, KINK_TOLERANCE);
    };
    for _ in 0..2 {
        let _guard = tch::no_grad_guard();
        let _ = net.forward(&x, Mode::Train);
    }
    assert_pass(name, &net, &x, Mode::Train, train, DIGEST_TOLERANCE);
    for (n, t) in net.state().iter().filter(|(n, _)| golden.buffers.contains_key(n)) {
        let expected = &golden.buffers[n];
        assert_digest(name, n, t, expected, expected[0], DIGEST_TOLERANCE);
    }
    assert_pass(name, &net, &x, Mode::Eval, &golden.eval, DIGEST_TOLERANCE);
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
fn toy_mlp_equals_pytorch() {
    check_file("toy_mlp");
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

#[test]
fn mnist_levels_equals_pytorch() {
    check_file("mnist_levels");
}

#[test]
fn mnist_classifier_equals_pytorch() {
    check_file("mnist_classifier");
}

#[test]
fn wrn_16_4_equals_pytorch() {
    check_file("wrn_16_4");
}

#[test]
fn wrn_28_2_equals_pytorch() {
    check_file("wrn_28_2");
}

#[test]
fn wrn_28_2_bn_equals_pytorch() {
    check_file("wrn_28_2_bn");
}

#[test]
fn wrn_28_4_equals_pytorch() {
    check_file("wrn_28_4");
}

#[test]
fn wrn_28_10_equals_pytorch() {
    check_file("wrn_28_10");
}

#[test]
fn wrn_28_10_bn_equals_pytorch() {
    check_file("wrn_28_10_bn");
}

#[test]
fn resnet20_cifar10_equals_pytorch() {
    check_file("resnet20_cifar10");
}

/// Blocks that begin with an activation, which must not overwrite what the shortcut reads; repeats, normalised images, and
/// three added channels, of which one stands before and two after.
#[test]
fn preactivation_equals_pytorch() {
    check_text(
        "preactivation",
        "
name: preactivation
input: [2, 9, 9]
output: logits
normalize: {mean: [0.4, 0.6], std: [0.2, 0.3]}
layers:
  - conv: {out: 4, kernel: 3, padding: 1}
  - residual:
      branch:
        - relu
        - conv: {out: 4, kernel: 3, padding: 1}
        - elu
        - conv: {out: 4, kernel: 3, padding: 1}
  - repeat:
      times: 2
      layers:
        - residual:
            branch:
              - elu
              - conv: {out: 4, kernel: 3, padding: 1, spectral_norm: {}}
              - batch_norm: {}
              - relu
              - conv: {out: 4, kernel: 3, padding: 1}
  - residual:
      branch:
        - batch_norm: {}
        - relu
        - conv: {out: 7, kernel: 3, stride: 2, padding: 1}
      shortcut:
        - subsample: {out: 7, stride: 2}
  - relu
  - global_avg_pool
  - linear: {out: 3}
",
    );
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

/// A network in models/ without golden values would go untested.
#[test]
fn every_model_file_has_golden_values() {
    let golden: BTreeMap<String, serde_json::Value> = serde_json::from_str(include_str!("golden/nn.json")).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap() {
        let path = entry.unwrap().path();
        // Models of other kinds are held to closed forms of their own.
        if path.is_dir() || yaml::load::<ModelConfig>(&path).unwrap().as_network().is_none() {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(golden.contains_key(&name), "{} has no case in nn.py", path.display());
    }
}
