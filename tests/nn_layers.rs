//! Repeated layers, shortcuts without parameters, normalised images, and the sizes of the published networks.

use std::collections::BTreeMap;
use std::path::Path;

use ebm::Error;
use ebm::config::yaml;
use ebm::nn::NetworkConfig;
use ebm::nn::{Mode, Network, describe};
use ebm::rng::Stream;
use tch::{Device, IndexOp, Kind, Tensor};

fn model(text: &str) -> NetworkConfig {
    let file = Path::new("test.yaml");
    yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap()
}

fn layers(input: &str, layers: &str) -> NetworkConfig {
    model(&format!("name: test\ninput: {input}\nlayers: {layers}"))
}

fn network(model: &NetworkConfig) -> Network {
    Network::new(model, Device::Cpu, &mut Stream::new(1, "init")).unwrap()
}

fn images(shape: &[i64]) -> Tensor {
    Stream::new(2, "images").uniform(shape, -1.0, 1.0, Device::Cpu)
}

fn greatest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

fn names(net: &Network) -> Vec<String> {
    net.state().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn repeats_are_as_if_written_out() {
    let block = "{residual: {branch: [elu, {conv: {out: 4, kernel: 3, padding: 1, spectral_norm: {}}}]}}";
    let ends = "{conv: {out: 4, kernel: 1}}, CHANGED, global_avg_pool, {linear: {out: 1}}";
    let variant = |changed: &str| layers("[3, 6, 6]", &format!("[{}]", ends.replace("CHANGED", changed)));
    let written = variant(&format!("{block}, relu, {block}, relu, {block}, {block}, silu"));
    let repeated = variant(&format!(
        "{{repeat: {{times: 2, layers: [{block}, relu]}}}}, {{repeat: {{times: 1, layers: [{{repeat: {{times: 2, layers: [{block}]}}}}, silu]}}}}"
    ));
    let (a, b) = (network(&written), network(&repeated));
    assert_eq!(names(&a), names(&b));
    assert!(
        names(&a).contains(&"6.branch.1.weight_orig".to_owned()),
        "{:?}",
        names(&a)
    );
    let x = images(&[2, 3, 6, 6]);
    // The same stream gives the same weights, so that nothing but the way of writing differs.
    for mode in [Mode::Eval, Mode::Train] {
        assert!(a.forward(&x, mode).equal(&b.forward(&x, mode)));
    }
    let (mut fa, mut fb) = (a.frozen(Kind::Float), b.frozen(Kind::Float));
    assert!(fa.forward(&x).equal(&fb.forward(&x)));
    fa.refresh(&a);
    fb.refresh(&b);
    assert!(fa.forward(&x).equal(&fb.forward(&x)));
    let rows = |m: &NetworkConfig| describe(m, Path::new("m")).unwrap();
    assert_eq!(rows(&written), rows(&repeated));
    // A run keeps its architecture as it was given.
    assert_eq!(model(&yaml::to_text(&repeated)), repeated);
}

#[test]
fn a_shortcut_in_a_repeat_is_named_by_what_it_comes_to() {
    let shortcut = |times: i64| {
        let conv = "{conv: {out: 3, kernel: 1, bias: false}}";
        let list = format!(
            "[{{residual: {{branch: [relu], shortcut: [{{repeat: {{times: {times}, layers: [{conv}]}}}}]}}}}, sum_features]"
        );
        names(&network(&layers("[3, 4, 4]", &list)))
    };
    assert_eq!(shortcut(1), ["0.shortcut.weight"]);
    assert_eq!(shortcut(2), ["0.shortcut.0.weight", "0.shortcut.1.weight"]);
}

#[test]
fn subsampling_takes_the_pixels_at_its_stride_and_adds_zeroes_on_both_sides() {
    let x = images(&[2, 3, 5, 4]);
    // Of seven channels four are added: two before, two after; of six, one before and two after; of three, none.
    for (out, before) in [(7, 2), (6, 1), (3, 0)] {
        let list = format!("[{{subsample: {{out: {out}, stride: 2}}}}, {{dropout: {{p: 0.5}}}}, sum_features]");
        let config = layers("[3, 5, 4]", &list);
        assert_eq!(describe(&config, Path::new("m")).unwrap().rows[0].output, [out, 3, 2]);
        let net = network(&config);
        let found = net.frozen(Kind::Float).first(&x);
        assert_eq!(found.size(), [2, out, 3, 2]);
        for channel in 0..out {
            let own = found.select(1, channel);
            let from = channel - before;
            for (i, j) in [(0, 0), (1, 1), (2, 0), (2, 1)] {
                let expected = match (0..3).contains(&from) {
                    true => x.i((.., from, 2 * i, 2 * j)),
                    false => Tensor::zeros([2], (Kind::Float, Device::Cpu)),
                };
                assert!(own.i((.., i, j)).equal(&expected), "channel {channel} of {out}");
            }
        }
        assert!(net.parameters().is_empty());
        let image = x.copy().set_requires_grad(true);
        net.forward(&image, Mode::Eval).sum(Kind::Float).backward();
        let taken = image.grad().i((.., .., 2, 2)).sum(Kind::Float).double_value(&[]);
        assert_eq!((taken, greatest(&image.grad().i((.., .., 1, ..)))), (6.0, 0.0));
    }
    let plain = layers("[3, 5, 4]", "[{subsample: {out: 5}}, sum_features]");
    assert_eq!(describe(&plain, Path::new("m")).unwrap().rows[0].output, [5, 5, 4]);
}

const NORMALIZE: &str = "{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}";

fn normalized(list: &str) -> NetworkConfig {
    let text = format!("name: test\ninput: [3, 6, 6]\nnormalize: {NORMALIZE}\nlayers: {list}");
    model(&text)
}

/// (image - mean) / std of images in [0, 1], in double precision.
fn by_hand(x: &Tensor) -> Tensor {
    let column = |v: [f64; 3]| Tensor::from_slice(&v).view([1, 3, 1, 1]);
    let (mean, std) = (column([0.485, 0.456, 0.406]), column([0.229, 0.224, 0.225]));
    ((x.to_kind(Kind::Double) + 1) / 2 - mean) / std
}

/// Numbers stay below 3, and two roundings leave 2^-24 of that each; in bf16 one rounding leaves 2^-8.
#[test]
fn images_are_normalised_before_the_first_layer() {
    // In evaluation dropout passes its input on, so that the first layer shows what it is given.
    let net = network(&normalized("[{dropout: {p: 0.5}}, sum_features]"));
    let x = images(&[2, 3, 6, 6]);
    let expected = by_hand(&x);
    for (kind, tolerance) in [
        (Kind::Float, 3.0 * 2f64.powi(-23)),
        (Kind::BFloat16, 3.0 * 2f64.powi(-8)),
    ] {
        let first = net.frozen(kind).first(&x);
        assert_eq!(first.kind(), Kind::Float);
        assert!(greatest(&(first - &expected)) <= tolerance, "{kind:?}");
    }
    let sums = expected.flatten(1, -1).sum_dim_intlist(1, false, Kind::Double);
    let image = x.copy().set_requires_grad(true);
    let live = net.forward(&image, Mode::Eval);
    // A sum of 108 numbers of the order of 1.
    assert!(greatest(&(&live - &sums)) <= 108.0 * 2f64.powi(-23));
    live.sum(Kind::Float).backward();
    for (channel, std) in [0.229, 0.224, 0.225].into_iter().enumerate() {
        let slope = image.grad().double_value(&[1, channel as i64, 3, 4]);
        assert!((slope - 0.5 / std).abs() < 1e-6, "{slope}");
    }
    assert!(x.equal(&images(&[2, 3, 6, 6])), "the image itself is left as it was");
}

/// A first layer that may work in place, and a second that does: the parts still come to the whole.
#[test]
fn the_first_layer_and_the_rest_are_the_whole_in_each_precision() {
    let list = "[{conv: {out: 4, kernel: 3}}, relu, {batch_norm: {}}, flatten, {linear: {out: 3}}]";
    let mut config = normalized(list);
    config.output = ebm::nn::Output::Logits;
    let net = network(&config);
    assert_eq!(names(&net)[..2], ["0.weight", "0.bias"], "normalising shifts no name");
    let x = images(&[4, 3, 6, 6]);
    for kind in [Kind::Float, Kind::BFloat16] {
        for mode in [Mode::Eval, Mode::TrainFrozenStats] {
            let frozen = net.frozen(kind).in_mode(mode);
            let whole = frozen.forward(&x);
            let h = frozen.first(&x);
            let kept = h.copy();
            assert!(frozen.rest(&h).equal(&whole), "{kind:?}, {mode:?}");
            assert!(h.equal(&kept), "what the first layer gave is left as it was");
            let live = net.forward_as(&x, mode, kind);
            assert!(
                greatest(&(&whole - &live)) <= 1e-6 * greatest(&live).max(1.0),
                "{kind:?}, {mode:?}"
            );
        }
    }
}

/// The sizes of JEM's networks, and of the ResNet-20 of He et al. 2016.
#[test]
fn published_networks_have_their_published_sizes() {
    let sizes: BTreeMap<&str, (u64, u64)> = BTreeMap::from([
        ("wrn_16_4", (2_747_530, 505_858_560)),
        ("wrn_28_2", (1_466_026, 242_664_704)),
        ("wrn_28_2_bn", (1_469_642, 242_664_704)),
        ("wrn_28_4", (5_845_898, 958_843_392)),
        // 36.5 million parameters, 5.95 billion multiply-accumulates
        ("wrn_28_10", (36_471_338, 5_951_117_568)),
        ("wrn_28_10_bn", (36_489_290, 5_951_117_568)),
        ("resnet20_cifar10", (269_722, 40_551_040)),
    ]);
    for (name, expected) in sizes {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.yaml"));
        let config: NetworkConfig = yaml::load(&path).unwrap();
        let summary = describe(&config, &path).unwrap();
        assert_eq!((summary.params, summary.macs), expected, "{name}");
        assert_eq!((config.name.as_str(), summary.output), (name, vec![10]));
    }
}

/// The key and the words of an architecture's error.
fn fault(config: &NetworkConfig) -> (String, String) {
    match describe(config, Path::new("test.yaml")).expect_err("a fault") {
        Error::Config { key, what, .. } => (key, what),
        other => panic!("{other}"),
    }
}

#[test]
fn faults_in_repeats_and_shortcuts_name_their_key_as_it_is_written() {
    let cases = [
        ("[{repeat: {times: 0, layers: [relu]}}]", "layers[0].repeat.times", "0"),
        ("[{repeat: {times: 3, layers: []}}]", "layers[0].repeat.layers", "empty"),
        (
            "[relu, {repeat: {times: 900, layers: [{repeat: {times: 900, layers: [relu]}}]}}]",
            "layers[1].repeat.times",
            "900 is out of range",
        ),
        (
            "[{repeat: {times: 3, layers: [relu, {conv: {out: 3, kernel: 4}}]}}]",
            "layers[0].repeat.layers[1].conv.kernel",
            "does not fit",
        ),
        (
            "[{residual: {branch: [{repeat: {times: 2, layers: [{conv: {out: 0, kernel: 1}}]}}]}}]",
            "layers[0].residual.branch[0].repeat.layers[0].conv.out",
            "0",
        ),
        (
            "[relu, {repeat: {times: 2, layers: [silu, elu]}}]",
            "layers[1].repeat.layers[1]",
            "3x8x8",
        ),
        ("[{subsample: {out: 2}}]", "layers[0].subsample.out", "2"),
        ("[{subsample: {out: 4, stride: 0}}]", "layers[0].subsample.stride", "0"),
        ("[flatten, {subsample: {out: 400}}]", "layers[1].subsample", "192"),
        (
            "[flatten, {linear: {out: 12}}, {unflatten: {channels: 2, height: 2, width: 2}}]",
            "layers[2].unflatten",
            "2x2x2 numbers of 12",
        ),
        (
            "[{unflatten: {channels: 3, height: 8, width: 8}}]",
            "layers[0].unflatten",
            "3x8x8 numbers of 3x8x8",
        ),
        ("[{upsample: {factor: 0}}]", "layers[0].upsample.factor", "0"),
        ("[flatten, {upsample: {factor: 2}}]", "layers[1].upsample", "192"),
    ];
    for (list, key, words) in cases {
        let (found, what) = fault(&layers("[3, 8, 8]", list));
        assert_eq!(found, key, "{list}: {what}");
        assert!(what.contains(words), "{list}: {what}");
    }
}

#[test]
fn faults_in_normalising_name_their_key() {
    let cases = [
        ("{mean: [0.5], std: [0.5, 0.5, 0.5]}", "normalize.mean"),
        ("{mean: [0.5, 0.5, 0.5], std: [0.5, 0.5]}", "normalize.std"),
        ("{mean: [0.5, 0.5, .nan], std: [0.5, 0.5, 0.5]}", "normalize.mean"),
        ("{mean: [0.5, 0.5, 0.5], std: [0.5, 0.0, 0.5]}", "normalize.std"),
        ("{mean: [0.5, 0.5, 0.5], std: [0.5, .inf, 0.5]}", "normalize.std"),
    ];
    for (text, key) in cases {
        let config = model(&format!(
            "name: test\ninput: [3, 8, 8]\nnormalize: {text}\nlayers: [sum_features]"
        ));
        assert_eq!(fault(&config).0, key, "{text}");
    }
    let file = Path::new("test.yaml");
    let text = "name: t\ninput: [1, 2, 2]\nnormalize: {mean: [0], std: [1], var: [1]}\nlayers: [sum_features]";
    let unknown = yaml::typed::<NetworkConfig>(yaml::parse(text, file).unwrap(), file).unwrap_err();
    assert!(unknown.to_string().contains("`var`"), "{unknown}");
}
