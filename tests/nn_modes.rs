//! What each mode records, and batch norm, spectral norm and gradients in reduced precision.

use std::collections::BTreeMap;
use std::path::Path;

use ebm::config::yaml;
use ebm::nn::NetworkConfig;
use ebm::nn::{Mode, Network};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

/// Smooth activations, so that rounding moves a gradient only a little.
const NET: &str = "
name: modes
input: [3, 8, 8]
output: logits
normalize: {mean: [0.5, 0.4, 0.6], std: [0.5, 0.4, 0.3]}
init: kaiming-normal
layers:
  - conv: {out: 8, kernel: 3, padding: 1}
  - residual:
      branch:
        - batch_norm: {momentum: 0.9}
        - silu
        - conv: {out: 8, kernel: 3, padding: 1, spectral_norm: {}}
        - batch_norm: {momentum: 0.9}
        - silu
        - conv: {out: 16, kernel: 3, stride: 2, padding: 1}
      shortcut:
        - subsample: {out: 16, stride: 2}
  - batch_norm: {}
  - silu
  - global_avg_pool
  - linear: {out: 5}
";

fn model(text: &str) -> NetworkConfig {
    let file = Path::new("test.yaml");
    yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap()
}

/// A network whose buffers have seen some passes.
fn network() -> Network {
    let net = Network::new(&model(NET), Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    for i in 0..3 {
        let _guard = tch::no_grad_guard();
        let _ = net.forward(&images(i), Mode::Train);
    }
    net
}

fn images(seed: u64) -> Tensor {
    Stream::new(seed, "images").uniform(&[16, 3, 8, 8], -1.0, 1.0, Device::Cpu)
}

fn copy_of_state(net: &Network) -> BTreeMap<String, Tensor> {
    net.state().into_iter().map(|(n, t)| (n, t.copy())).collect()
}

/// The names of what changed.
fn changed(net: &Network, before: &BTreeMap<String, Tensor>) -> Vec<String> {
    let state = net.state().into_iter();
    state.filter(|(n, t)| !t.equal(&before[n])).map(|(n, _)| n).collect()
}

fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    ((found - expected).norm() / expected.norm()).double_value(&[])
}

const KINDS: [Kind; 2] = [Kind::Float, Kind::BFloat16];

#[test]
fn only_training_records_in_either_precision() {
    let buffers = [
        "1.branch.0.num_batches_tracked",
        "1.branch.0.running_mean",
        "1.branch.0.running_var",
        "1.branch.2.weight_u",
        "1.branch.2.weight_v",
        "1.branch.3.num_batches_tracked",
        "1.branch.3.running_mean",
        "1.branch.3.running_var",
        "2.num_batches_tracked",
        "2.running_mean",
        "2.running_var",
    ];
    for kind in KINDS {
        let net = network();
        let before = copy_of_state(&net);
        for mode in [Mode::Eval, Mode::TrainFrozenStats] {
            net.forward_as(&images(7), mode, kind).sum(Kind::Float).backward();
            let _ = net.frozen(kind).in_mode(mode).forward(&images(7));
            assert!(
                changed(&net, &before).is_empty(),
                "{kind:?}, {mode:?}: {:?}",
                changed(&net, &before)
            );
        }
        let _ = net.forward_as(&images(7), Mode::Train, kind);
        let mut moved = changed(&net, &before);
        moved.sort();
        assert_eq!(moved, buffers, "{kind:?}");
        assert_eq!(
            net.state()
                .into_iter()
                .find(|(n, _)| n == buffers[0])
                .unwrap()
                .1
                .int64_value(&[]),
            4
        );
    }
}

/// With batch norm alone, an unrecorded pass is the recorded one bit for bit; evaluation is another function.
#[test]
fn an_unrecorded_pass_uses_the_batchs_statistics() {
    for kind in KINDS {
        let net = Network::new(
            &model(&NET.replace(", spectral_norm: {}", "")),
            Device::Cpu,
            &mut Stream::new(1, "init"),
        )
        .unwrap();
        let x = images(7);
        let unrecorded = net.forward_as(&x, Mode::TrainFrozenStats, kind);
        let frozen = net.frozen(kind).in_mode(Mode::TrainFrozenStats).forward(&x);
        assert!(unrecorded.equal(&frozen), "{kind:?}: the frozen copy computes the same");
        let evaluated = net.forward_as(&x, Mode::Eval, kind);
        assert!(relative(&evaluated, &unrecorded) > 0.05, "{kind:?}");
        assert!(unrecorded.equal(&net.forward_as(&x, Mode::Train, kind)), "{kind:?}");
    }
}

/// In training spectral norm iterates first; an unrecorded pass divides by the norm that its vectors give.
#[test]
fn an_unrecorded_pass_does_not_iterate() {
    let net = Network::new(
        &model("name: t\ninput: [3, 8, 8]\nlayers: [{conv: {out: 6, kernel: 3, spectral_norm: {}}}, silu, flatten, {linear: {out: 1}}]"),
        Device::Cpu,
        &mut Stream::new(1, "init"),
    )
    .unwrap();
    // Vectors that are far from the singular ones, so that an iteration shows.
    let mut state = copy_of_state(&net);
    let direction = |n: i64| Tensor::ones([n], (Kind::Float, Device::Cpu)) / (n as f64).sqrt();
    state.insert("0.weight_u".into(), direction(6));
    state.insert("0.weight_v".into(), direction(27));
    net.load(&state, "test").unwrap();
    let x = images(7);
    let unrecorded = net.forward(&x, Mode::TrainFrozenStats);
    assert!(changed(&net, &state).is_empty());
    assert!(unrecorded.equal(&net.forward(&x, Mode::Eval)));
    let trained = net.forward(&x, Mode::Train);
    assert!(relative(&trained, &unrecorded) > 0.05);
    assert_eq!(changed(&net, &state), ["0.weight_u", "0.weight_v"]);
}

/// Batch norm on the image itself: m <- (1 - momentum) m + momentum * mean, and the unbiased variance likewise.
#[test]
fn training_moves_running_statistics_by_its_momentum() {
    // In bf16 the statistics are those of the rounded image, summed in f32: each pixel is off by 2^-8 at most.
    for (kind, tolerance) in [(Kind::Float, 1e-6), (Kind::BFloat16, 2f64.powi(-8))] {
        let text = "name: t\ninput: [3, 8, 8]\nlayers: [{batch_norm: {momentum: 0.9}}, sum_features]";
        let net = Network::new(&model(text), Device::Cpu, &mut Stream::new(1, "init")).unwrap();
        let (mut mean, mut var) = (Tensor::from(0.0), Tensor::from(1.0));
        for seed in 0..3 {
            let x = images(seed);
            let _ = net.forward_as(&x, Mode::Train, kind);
            let pixels = x.to_kind(Kind::Double).transpose(0, 1).flatten(1, -1);
            mean = mean * 0.1 + pixels.mean_dim(1, false, None) * 0.9;
            var = var * 0.1 + pixels.var_dim(1, true, false) * 0.9;
        }
        let state = copy_of_state(&net);
        for (name, expected) in [("0.running_mean", mean), ("0.running_var", var)] {
            let off = (&state[name] - &expected).abs().max().double_value(&[]);
            assert!(off <= tolerance, "{kind:?}: {name} is off by {off}");
            assert_eq!(state[name].kind(), Kind::Float);
        }
    }
}

/// Each rounding to bf16 leaves at most 2^-8 of a number, 2^-9 at random; about forty roundings lie between the image and
/// the logits and back: 2^-9 sqrt(40), and four standard errors of that.
const REDUCED: f64 = 4.0 * 0.001953125 * 6.4;

/// The frozen copy of a network with batch norm, in both modes that it has.
#[test]
fn batch_norm_in_bf16_is_near_f32() {
    let net = network();
    for mode in [Mode::Eval, Mode::TrainFrozenStats] {
        let run = |kind| {
            let x = images(7).set_requires_grad(true);
            let logits = net.frozen(kind).in_mode(mode).forward(&x);
            assert_eq!((logits.size(), logits.kind()), (vec![16, 5], Kind::Float));
            logits.logsumexp(1, false).sum(Kind::Float).backward();
            (logits.detach(), x.grad())
        };
        let (exact, reduced) = (run(Kind::Float), run(Kind::BFloat16));
        for (name, f32s, bf16s) in [("logits", &exact.0, &reduced.0), ("gradient", &exact.1, &reduced.1)] {
            let off = relative(bf16s, f32s);
            assert!(off < REDUCED, "{mode:?}: {name} is off by {off}");
            assert!(off > 1e-5, "{mode:?}: {name} was not computed in bf16");
        }
    }
}

/// The live network in bf16: outputs and every parameter's gradient are f32, and near those of an f32 pass.
#[test]
fn gradients_of_a_bf16_pass_are_f32_and_near() {
    let net = network();
    for mode in [Mode::Eval, Mode::TrainFrozenStats] {
        let run = |kind| {
            net.parameters().iter().for_each(|(_, p)| p.shallow_clone().zero_grad());
            let logits = net.forward_as(&images(7), mode, kind);
            assert_eq!(logits.kind(), Kind::Float);
            logits.logsumexp(1, false).sum(Kind::Float).backward();
            let grads = net.parameters().iter().map(|(n, p)| (n.clone(), p.grad().copy()));
            (logits.detach(), grads.collect::<Vec<_>>())
        };
        let (exact, reduced) = (run(Kind::Float), run(Kind::BFloat16));
        assert!(relative(&reduced.0, &exact.0) < REDUCED);
        let largest = exact
            .1
            .iter()
            .fold(0.0, |m: f64, (_, g)| m.max(g.norm().double_value(&[])));
        for ((name, f32s), (_, bf16s)) in exact.1.iter().zip(&reduced.1) {
            assert_eq!(bf16s.kind(), Kind::Float, "{name}");
            let size = f32s.norm().double_value(&[]);
            let off = (bf16s - f32s).norm().double_value(&[]);
            // A bias before batch norm has no gradient but rounding.
            let size = if size > 1e-5 * largest { size } else { largest };
            assert!(off < REDUCED * size, "{mode:?}: {name} is off by {off} of {size}");
        }
    }
}
