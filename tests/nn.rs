//! Networks as built: freezing, loading, starting weights, dropout, and the errors of architecture files.

use std::collections::BTreeMap;
use std::path::Path;

use ebm::config::yaml;
use ebm::nn::{Init, NetworkConfig};
use ebm::nn::{Mode, Network, describe};
use ebm::rng::Stream;
use ebm::{Error, Result};
use tch::{Device, Kind, Tensor};

/// One of each thing that training mode treats otherwise than evaluation.
const MIXED: &str = "
name: mixed
input: [3, 8, 8]
layers:
  - conv: {out: 8, kernel: 3, padding: 1, spectral_norm: {}}
  - batch_norm: {}
  - leaky_relu: {slope: 0.2}
  - dropout: {p: 0.5}
  - residual:
      branch:
        - conv: {out: 8, kernel: 3, padding: 1, spectral_norm: {}}
        - group_norm: {groups: 2}
        - silu
        - conv: {out: 8, kernel: 3, padding: 1, spectral_norm: {bound: true}, init: {normal: {std: 1.0e-10}}}
  - relu
  - global_sum_pool
  - linear: {out: 1, spectral_norm: {}}
";

fn model(text: &str) -> NetworkConfig {
    let file = Path::new("test.yaml");
    yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap()
}

fn network(text: &str) -> Network {
    Network::new(&model(text), Device::Cpu, &mut Stream::new(1, "init")).unwrap()
}

/// A plain net of these layers on one input shape.
fn layers(input: &str, layers: &str) -> NetworkConfig {
    model(&format!("name: test\ninput: {input}\nlayers: {layers}"))
}

fn images(n: i64) -> Tensor {
    Stream::new(2, "images").uniform(&[n, 3, 8, 8], -1.0, 1.0, Device::Cpu)
}

fn copy_of_state(net: &Network) -> Vec<Tensor> {
    net.state().iter().map(|(_, t)| t.copy()).collect()
}

/// Changes every parameter as an optimiser would, and the buffers by a training pass.
fn train_a_little(net: &Network, rng: &mut Stream) {
    let _guard = tch::no_grad_guard();
    for (_, p) in net.parameters() {
        let change = rng.normal(&p.size(), Device::Cpu) * 0.05;
        let _ = p.shallow_clone().g_add_(&change);
    }
    rng.seed_next();
    let _ = net.forward(&images(4), Mode::Train);
}

fn greatest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

#[test]
fn frozen_copy_follows_the_network_when_told() {
    let (net, x, mut rng) = (network(MIXED), images(5), Stream::new(3, "train"));
    train_a_little(&net, &mut rng);
    let mut frozen = net.frozen(Kind::Float);
    let before = frozen.forward(&x);
    assert_eq!((before.size(), before.kind()), (vec![5], Kind::Float));
    // The same operations on the same numbers; a fused kernel may still round the folded weight's product elsewhere.
    let tolerance = 16.0 * f64::from(f32::EPSILON) * greatest(&before);
    assert!(greatest(&(&before - net.forward(&x, Mode::Eval))) <= tolerance);

    train_a_little(&net, &mut rng);
    assert!(before.equal(&frozen.forward(&x)), "nothing changes before a refresh");
    let live = net.forward(&x, Mode::Eval);
    assert!(greatest(&(&before - &live)) > 1e-3 * greatest(&live));
    frozen.refresh(&net);
    assert!(greatest(&(frozen.forward(&x) - &live)) <= tolerance.max(16.0 * f64::from(f32::EPSILON) * greatest(&live)));
}

#[test]
fn frozen_copy_records_no_parameter_gradient_and_leaves_the_network_alone() {
    let net = network(MIXED);
    train_a_little(&net, &mut Stream::new(3, "train"));
    let before = copy_of_state(&net);
    for kind in [Kind::Float, Kind::BFloat16] {
        let mut frozen = net.frozen(kind);
        assert!(
            !frozen.forward(&images(4)).requires_grad(),
            "no tensor of the copy asks for a gradient"
        );
        let x = images(4).set_requires_grad(true);
        frozen.forward(&x).sum(Kind::Float).backward();
        assert!(greatest(&x.grad()) > 0.0);
        frozen.refresh(&net);
    }
    assert!(net.parameters().iter().all(|(_, p)| !p.grad().defined()));
    for ((name, t), b) in net.state().iter().zip(&before) {
        assert!(t.equal(b), "{name} changed");
    }
}

#[test]
fn evaluation_changes_no_buffer_and_training_does() {
    let net = network(MIXED);
    let before = copy_of_state(&net);
    let _ = net.forward(&images(4), Mode::Eval);
    assert!(net.state().iter().zip(&before).all(|((_, t), b)| t.equal(b)));
    let _ = net.forward(&images(4), Mode::Train);
    let changed: Vec<String> = net
        .state()
        .into_iter()
        .zip(&before)
        .filter(|((_, t), b)| !t.equal(b))
        .map(|((n, _), _)| n)
        .collect();
    for buffer in [
        "0.weight_u",
        "0.weight_v",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    ] {
        assert!(changed.iter().any(|n| n == buffer), "{buffer} stays put");
    }
    let parameters: Vec<&String> = net.parameters().iter().map(|(n, _)| n).collect();
    assert!(changed.iter().all(|n| !parameters.contains(&n)));
}

/// A training step runs several passes before one backward pass; singular vectors that move meanwhile must not spoil it.
/// (Batch norm's running statistics are what evaluation divides by: PyTorch itself refuses to move them in between.)
#[test]
fn gradients_survive_later_passes() {
    let net = network(&MIXED.replace("  - batch_norm: {}\n", ""));
    let gradient = |later: bool| {
        net.parameters().iter().for_each(|(_, p)| p.shallow_clone().zero_grad());
        let energy = net.forward(&images(4), Mode::Eval).sum(Kind::Float);
        if later {
            let _ = net.forward(&images(4), Mode::Train);
        }
        energy.backward();
        net.parameters()[1].1.grad().copy()
    };
    let alone = gradient(false);
    assert!(greatest(&alone) > 0.0);
    assert!(alone.equal(&gradient(true)));
}

/// Each of 12 layers rounds to 8 bits, 2^-9 relative at random: about 2^-9 sqrt(36) in all with three roundings a layer; four
/// standard errors of that.
#[test]
fn bf16_is_near_f32() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mnist.yaml")).unwrap();
    let mut config = model(&text);
    config.init = Init::KaimingNormal;
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let x = Stream::new(2, "images").uniform(&[16, 1, 28, 28], -1.0, 1.0, Device::Cpu);
    let run = |kind| {
        let x = x.copy().set_requires_grad(true);
        let energy = net.frozen(kind).forward(&x);
        energy.sum(Kind::Float).backward();
        (energy.detach(), x.grad())
    };
    let ((exact, exact_grad), (rough, rough_grad)) = (run(Kind::Float), run(Kind::BFloat16));
    let tolerance = 4.0 * 2f64.powi(-9) * 6.0;
    for (name, a, b) in [("energy", &exact, &rough), ("gradient", &exact_grad, &rough_grad)] {
        assert_eq!(b.kind(), Kind::Float);
        let off = ((a - b).norm() / a.norm()).double_value(&[]);
        assert!(off < tolerance, "{name} is off by {off}");
        assert!(off > 1e-5, "{name} was not computed in bf16");
    }
}

fn refused(net: &Network, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> String {
    let before = copy_of_state(net);
    let mut named: BTreeMap<String, Tensor> = net.state().into_iter().map(|(n, t)| (n, t.zeros_like())).collect();
    change(&mut named);
    let error = net.load(&named, "weights.safetensors").unwrap_err();
    assert!(matches!(error, Error::Input { .. }));
    assert!(
        net.state().iter().zip(&before).all(|((_, t), b)| t.equal(b)),
        "something was copied"
    );
    error.to_string()
}

#[test]
fn loading_is_strict() {
    let net = network(MIXED);
    type Change = fn(&mut BTreeMap<String, Tensor>);
    let cases: [(&str, Change); 5] = [
        ("missing (1): 4.branch.1.bias", |n| {
            n.remove("4.branch.1.bias");
        }),
        ("not of this network (1): head.weight", |n| {
            n.insert("head.weight".into(), Tensor::zeros([2], (Kind::Float, Device::Cpu)));
        }),
        ("0.bias is Float [1], expected Float [8]", |n| {
            n.insert("0.bias".into(), Tensor::zeros([1], (Kind::Float, Device::Cpu)));
        }),
        ("0.bias is Half [8], expected Float [8]", |n| {
            n.insert("0.bias".into(), Tensor::zeros([8], (Kind::Half, Device::Cpu)));
        }),
        ("1.num_batches_tracked is Float [], expected Int64 []", |n| {
            n.insert(
                "1.num_batches_tracked".into(),
                Tensor::zeros([], (Kind::Float, Device::Cpu)),
            );
        }),
    ];
    for (expected, change) in cases {
        let message = refused(&net, change);
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("weights.safetensors"), "{message}");
    }
    let message = refused(&net, |n| n.clear());
    assert!(
        message.contains("missing (23)") && message.contains("and 18 more"),
        "{message}"
    );
}

#[test]
fn a_loaded_state_is_the_saved_state() {
    let (a, b) = (network(MIXED), network(&MIXED.replace("mixed", "other")));
    train_a_little(&a, &mut Stream::new(3, "train"));
    b.load(&a.state().into_iter().collect(), "a").unwrap();
    for ((name, x), (_, y)) in a.state().iter().zip(b.state()) {
        assert!(x.equal(&y), "{name}");
    }
    assert!(
        b.parameters().iter().all(|(_, p)| p.requires_grad()),
        "still to be trained"
    );
}

/// A convolution's weight and bias, 64 outputs of 32 x 3 x 3 inputs, under a rule.
fn started(rule: &str, seed: u64) -> (Tensor, Tensor) {
    let config = layers(
        "[32, 3, 3]",
        &format!("[{{conv: {{out: 64, kernel: 3, init: {rule}}}}}, sum_features]"),
    );
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(seed, "init")).unwrap();
    let state: BTreeMap<String, Tensor> = net.state().into_iter().collect();
    (state["0.weight"].copy(), state["0.bias"].copy())
}

/// The mean and variance to five standard errors; a variance's own is sqrt((kurtosis - 1) / n) of it.
fn assert_moments(rule: &str, w: &Tensor, variance: f64, kurtosis: f64) {
    let n = w.numel() as f64;
    let w = w.to_kind(Kind::Double);
    let mean = w.mean(Kind::Double).double_value(&[]);
    assert!(mean.abs() < 5.0 * (variance / n).sqrt(), "{rule}: the mean is {mean}");
    let found = w.square().mean(Kind::Double).double_value(&[]);
    let error = ((kurtosis - 1.0) / n).sqrt();
    assert!(
        (found / variance - 1.0).abs() < 5.0 * error,
        "{rule}: the variance is {found}, expected {variance}"
    );
}

#[test]
fn weights_start_by_their_rule() {
    let (fan_in, fan_out) = (32.0 * 9.0, 64.0 * 9.0);
    let (uniform, normal) = (1.8, 3.0);
    let cases = [
        ("pytorch", 1.0 / (3.0 * fan_in), uniform),
        ("{normal: {std: 0.02}}", 0.02 * 0.02, normal),
        ("xavier-uniform", 2.0 / (fan_in + fan_out), uniform),
        ("kaiming-normal", 2.0 / fan_in, normal),
    ];
    for (rule, variance, kurtosis) in cases {
        let (w, b) = started(rule, 1);
        assert_moments(rule, &w, variance, kurtosis);
        if kurtosis == uniform {
            assert!(greatest(&w) <= (3.0 * variance).sqrt(), "{rule}: beyond its interval");
        }
        if rule == "pytorch" {
            assert_moments("pytorch bias", &b, variance, uniform);
        } else {
            assert_eq!(greatest(&b), 0.0, "{rule}: biases start at zero");
        }
        assert!(w.equal(&started(rule, 1).0), "{rule}: a seed means one network");
        assert!(!w.equal(&started(rule, 2).0), "{rule}: seeds differ");
    }
}

/// Rounding in single precision leaves eps * sqrt(inputs), about 2e-6, on the diagonal of gain^2 = 4.
#[test]
fn orthogonal_weights_are_orthogonal() {
    let (wide, _) = started("{orthogonal: {gain: 2.0}}", 1);
    let rows = wide.flatten(1, -1);
    let off = rows.matmul(&rows.tr()) - Tensor::eye(64, (Kind::Float, Device::Cpu)) * 4;
    assert!(greatest(&off) < 2e-5);

    let config = layers(
        "[5, 1, 1]",
        "[flatten, {linear: {out: 40, init: {orthogonal: {gain: 1.0}}}}, sum_features]",
    );
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let tall = net.parameters()[0].1.detach();
    let off = tall.tr().matmul(&tall) - Tensor::eye(5, (Kind::Float, Device::Cpu));
    assert!(greatest(&off) < 2e-5);
}

/// Without power iterations at the start, sigma would be a product of two random directions: nearly zero, of either sign.
#[test]
fn a_new_network_is_normalised_from_the_start() {
    let config = layers(
        "[16, 1, 1]",
        "[flatten, {linear: {out: 16, bias: false, spectral_norm: {}}}, sum_features]",
    );
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let state: BTreeMap<String, Tensor> = net.state().into_iter().collect();
    let w = &state["1.weight_orig"];
    let sigma = state["1.weight_u"].dot(&w.mv(&state["1.weight_v"])).double_value(&[]);
    let top = w.matmul(&w.tr()).linalg_eigvalsh("L").max().sqrt().double_value(&[]);
    assert!(sigma > 0.9 * top && sigma <= top * (1.0 + 1e-5), "{sigma} of {top}");
}

#[test]
fn dropout_zeroes_its_share_in_training_only() {
    let (p, n): (f64, f64) = (0.3, 100.0 * 100.0);
    let config = layers("[1, 100, 100]", "[{dropout: {p: 0.3}}, sum_features]");
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let x = Tensor::ones([1, 1, 100, 100], (Kind::Float, Device::Cpu));
    let mut rng = Stream::new(4, "dropout");
    let start = rng.clone();
    let mut pass = || {
        rng.seed_next();
        net.forward(&x, Mode::Train).double_value(&[0])
    };
    let (first, second) = (pass(), pass());
    // What is kept is scaled by 1 / (1 - p); the count kept is binomial.
    let error = (p / (1.0 - p) / n).sqrt();
    assert!((first / n - 1.0).abs() < 5.0 * error, "{first}");
    assert!(first != second);
    rng = start;
    rng.seed_next();
    assert_eq!(first, net.forward(&x, Mode::Train).double_value(&[0]));
    assert_eq!(n, net.forward(&x, Mode::Eval).double_value(&[0]));
    assert_eq!(n, net.frozen(Kind::Float).forward(&x).double_value(&[0]));
}

/// An activation that works in place must not reach what it was not given.
#[test]
fn the_image_is_left_as_it_was() {
    let config = layers(
        "[3, 8, 8]",
        "[relu, elu, {residual: {branch: [relu]}}, elu, sum_features]",
    );
    let net = Network::new(&config, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let x = images(2);
    let energy = net.forward(&x, Mode::Eval);
    assert!(x.equal(&images(2)));
    let expected = x.relu().sum(Kind::Float) * 2;
    assert!(greatest(&(energy.sum(Kind::Float) - &expected)) < 1e-5 * greatest(&expected));
}

#[test]
fn igebm_has_the_published_size() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/igebm_cifar10.yaml");
    let summary = describe(&yaml::load(&path).unwrap(), &path).unwrap();
    assert_eq!(summary.params, 5_134_593, "5.1 million");
    assert_eq!(summary.macs, 806_748_416, "807 million");
    assert_eq!(summary.output, [1]);
    let last = summary.rows.iter().find(|r| r.name == "15").unwrap();
    assert_eq!(last.output, [256, 4, 4]);
}

/// The key and the words that an architecture's error must hold.
fn fault(input: &str, list: &str) -> (String, String) {
    let config = layers(input, list);
    let result: Result<_> = describe(&config, Path::new("test.yaml"));
    match result.expect_err(list) {
        Error::Config { file, key, what, .. } => {
            assert_eq!(file, Path::new("test.yaml"));
            (key, what)
        }
        other => panic!("{list}: {other}"),
    }
}

#[test]
fn faults_name_their_key() {
    let cases = [
        ("[{conv: {out: 1, kernel: 9}}]", "layers[0].conv.kernel", "does not fit"),
        ("[{conv: {out: 4, kernel: 3}}]", "layers[0]", "4x6x6"),
        ("[flatten, {linear: {out: 2}}]", "layers[1]", "a single number"),
        ("[{linear: {out: 1}}]", "layers[0].linear", "3x8x8"),
        ("[flatten, {conv: {out: 1, kernel: 1}}]", "layers[1].conv", "192"),
        (
            "[{conv: {out: 0, kernel: 1}}]",
            "layers[0].conv.out",
            "0 is out of range",
        ),
        (
            "[{conv: {out: 1, kernel: 1, stride: 0}}]",
            "layers[0].conv.stride",
            "0 is out",
        ),
        (
            "[{conv: {out: 1, kernel: 1, padding: -1}}]",
            "layers[0].conv.padding",
            "-1",
        ),
        ("[{max_pool: {size: 2, padding: 2}}]", "layers[0].max_pool.padding", "2"),
        ("[{avg_pool: {size: 20}}]", "layers[0].avg_pool.size", "20x20"),
        (
            "[{conv: {out: 6, kernel: 1}}, {group_norm: {groups: 4}}]",
            "layers[1].group_norm.groups",
            "4 groups do not divide 6",
        ),
        ("[{dropout: {p: 1.0}}]", "layers[0].dropout.p", "1 is out of range"),
        ("[{batch_norm: {momentum: 2.0}}]", "layers[0].batch_norm.momentum", "2"),
        (
            "[{residual: {branch: [{conv: {out: 5, kernel: 1}}]}}]",
            "layers[0].residual",
            "5x8x8 and the shortcut 3x8x8",
        ),
        ("[{residual: {branch: []}}]", "layers[0].residual.branch", "empty"),
        (
            "[{residual: {branch: [relu, {conv: {out: 3, kernel: 99}}]}}]",
            "layers[0].residual.branch[1].conv.kernel",
            "99x99",
        ),
        (
            "[{residual: {branch: [relu], shortcut: [{conv: {out: 3, kernel: 99}}]}}]",
            "layers[0].residual.shortcut[0].conv.kernel",
            "99x99",
        ),
        (
            "[{conv: {out: 1, kernel: 1, spectral_norm: {iterations: -1}}}]",
            "layers[0].conv.spectral_norm.iterations",
            "-1",
        ),
        (
            "[{conv: {out: 1, kernel: 1, init: {normal: {std: -1.0}}}}]",
            "layers[0].conv.init.normal.std",
            "-1",
        ),
        ("[]", "layers", "empty"),
    ];
    for (list, key, words) in cases {
        let (found, what) = fault("[3, 8, 8]", list);
        assert_eq!(found, key, "{list}: {what}");
        assert!(what.contains(words), "{list}: {what}");
    }
    assert_eq!(fault("[0, 8, 8]", "[sum_features]").0, "input");
}
