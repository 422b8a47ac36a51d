//! Every key and every choice that the reference names is trained with for two steps, so that none is
//! dead.

mod common;

use std::collections::BTreeSet;

use common::Bench;
use ebm::config::yaml;
use ebm::objective::{Asks, ObjectiveConfig};
use ebm::sampling::KernelConfig;
use serde_json::Value;

/// What the pages of the reference are written from.
const SCHEMA: &str = include_str!("../docs/schema/experiment.json");

/// Sections whose keys are set one by one; what lies below any other key is set with it.
const SECTIONS: [&str; 13] = [
    "data",
    "data.augment",
    "space",
    "compute",
    "sampler",
    "buffer",
    "objective",
    "optimizer",
    "train",
    "guard",
    "report",
    "evaluate",
    "sampler.kernel",
];

/// Changes that give the tiny experiment a classifier and the terms that need one.
const CLASSES: &[&str] = &["model=classes.yaml", "objective.cross-entropy={}"];
const BY_CLASS: &[&str] = &[
    "model=classes.yaml",
    "sampler.classes=kept",
    "objective={cross-entropy: {}, conditional: {}}",
];
const WITH_CLASS: &[&str] = &["model=classes.yaml", "sampler.classes=drawn", "objective.joint={}"];
const BESIDE: &[&str] = &["objective.contrastive={}"];
/// Chains run from the second step on.
const LATER: &[&str] = &[
    "model=classes.yaml",
    "objective={cross-entropy: {}, contrastive: {from: 1}}",
];
const LOOKS: &[&str] = &["evaluate.every=1", "evaluate.images=4"];
const DRAWN: &[&str] = &["sampler.kernel.langevin.noise_scale=null"];
const LEVELS: &[&str] = &["sampler.kernel.langevin.order=null"];
const MALA: &[&str] = &["sampler.kernel={mala: {step_size: 0.01}}"];
const HMC: &[&str] = &["sampler.kernel={hmc: {step_size: 0.01, leapfrog_steps: 2}}"];
const WALK: &[&str] = &["sampler.kernel={random-walk: {step_size: 0.01}}"];

/// A key, a value that the reference allows, and what else it needs.
type Setting = (&'static str, &'static str, &'static [&'static str]);

const SETTINGS: &[Setting] = &[
    ("name", "other", &[]),
    ("seed", "12345", &[]),
    ("device", "auto", &[]),
    ("device", "cpu", &[]),
    ("threads", "2", &[]),
    ("threads", "null", &[]),
    ("deterministic", "true", &[]),
    ("data.dataset", "{strokes: {count: 50, size: 8, seed: 3}}", &[]),
    ("data.dataset", "{folder: {path: pictures, test: null, fit: crop}}", &[]),
    (
        "data.dataset",
        "{folder: {path: pictures, test: more, fit: stretch}}",
        &[],
    ),
    ("data.dataset", "{folder: {path: pictures, fit: pad}}", &[]),
    ("data.dataset", "{folder: {path: exact, fit: exact}}", &[]),
    ("data.dataset", "{npy: {images: x.npy, labels: y.npy}}", CLASSES),
    (
        "data.dataset",
        "{npy: {images: x.npy, labels: y.npy, test_images: x.npy, test_labels: y.npy}}",
        CLASSES,
    ),
    ("data.dataset", "{idx: {images: x.idx, labels: y.idx}}", CLASSES),
    ("data.dataset", "mnist", &["model=large.yaml"]),
    ("data.dataset", "fashion-mnist", &["model=large.yaml"]),
    ("data.root", "elsewhere", &[]),
    ("data.validation", "0", &[]),
    ("data.validation", "20", &[]),
    ("data.split_seed", "5", &[]),
    ("data.limit", "30", &[]),
    ("data.labels_per_class", "3", CLASSES),
    ("data.noise", "0", &[]),
    ("data.labelled_noise", "0.1", CLASSES),
    (
        "data.dataset",
        "{toy: {density: rings, count: 1200, seed: 1}}",
        &[
            "model=plane.yaml",
            "data.augment={}",
            "evaluate.ood=[]",
            "sampler.kernel={mala: {step_size: 0.05}}",
        ],
    ),
    ("space.values", "real", &[]),
    ("data.augment.pad_crop", "2", &[]),
    ("data.augment.flip", "false", &[]),
    ("data.augment.dequantize", "true", &[]),
    (
        "data.labelled_augment",
        "{pad_crop: 1, flip: true, dequantize: true}",
        CLASSES,
    ),
    ("model", "classes.yaml", &[]),
    ("sampler.n_steps", "1", &[]),
    ("sampler.kernel.langevin.step_size", "0.5", &[]),
    (
        "sampler.kernel.langevin.step_size",
        "0",
        &["sampler.kernel.langevin.inner={steps: 2, step_size: 0.1}"],
    ),
    ("sampler.kernel.langevin.inner", "{steps: 2, step_size: 0.1}", &[]),
    ("sampler.kernel.langevin.noise_scale", "0", &[]),
    ("sampler.kernel.langevin.noise_scale", "null", &[]),
    ("sampler.kernel.langevin.temperature", "0.5", DRAWN),
    ("sampler.kernel.langevin.grad_clip", "{value: 0.1}", &[]),
    ("sampler.kernel.langevin.grad_clip", "{norm: 0.1}", &[]),
    ("sampler.kernel.langevin.grad_clip", "null", &[]),
    ("sampler.kernel.langevin.clamp", "[-0.9, 0.9]", &[]),
    ("sampler.kernel.langevin.clamp", "null", LEVELS),
    ("sampler.kernel.langevin.order", "[clamp, gradient, noise]", &[]),
    ("sampler.kernel.langevin.step_schedule", "constant", &[]),
    ("sampler.kernel.langevin.step_schedule", "{linear: {end: 0.1}}", &[]),
    ("sampler.kernel.langevin.step_schedule", "{geometric: {end: 0.1}}", &[]),
    (
        "sampler.kernel.langevin.step_schedule",
        "{polynomial: {end: 0.1, power: 2}}",
        &[],
    ),
    ("sampler.kernel.langevin.noise_schedule", "constant", &[]),
    ("sampler.kernel.langevin.noise_schedule", "{linear: {end: 0}}", &[]),
    ("sampler.kernel.langevin.noise_schedule", "{geometric: {end: 0.1}}", &[]),
    (
        "sampler.kernel.langevin.noise_schedule",
        "{polynomial: {end: 0.1, power: 2}}",
        &[],
    ),
    ("compute.precision", "auto", &[]),
    ("compute.precision", "f32", &[]),
    ("compute.precision", "bf16", &[]),
    ("compute.layout", "auto", &[]),
    ("compute.layout", "contiguous", &[]),
    ("compute.layout", "channels-last", &[]),
    ("compute.chain_batch", "3", &[]),
    ("sampler.kernel.mala.step_size", "0.02", MALA),
    ("sampler.kernel.mala.temperature", "0.5", MALA),
    ("sampler.kernel.hmc.step_size", "0.02", HMC),
    ("sampler.kernel.hmc.leapfrog_steps", "3", HMC),
    ("sampler.kernel.hmc.temperature", "0.5", HMC),
    ("sampler.kernel.hmc.mass", "[2]", HMC),
    ("sampler.kernel.hmc.jitter", "0.1", HMC),
    ("sampler.kernel.random-walk.step_size", "0.02", WALK),
    ("sampler.kernel.random-walk.temperature", "0.5", WALK),
    ("sampler.warm_up", "{steps: 3, accept: 0.6}", MALA),
    ("sampler.start", "persistent", &[]),
    ("sampler.start", "data", &[]),
    ("sampler.start", "noise", &[]),
    ("sampler.start", "halves", &[]),
    ("sampler.classes", "none", CLASSES),
    ("sampler.classes", "kept", BY_CLASS),
    ("sampler.classes", "drawn", CLASSES),
    ("sampler.network_mode", "evaluation", &[]),
    ("sampler.network_mode", "training", &["model=tiny_classifier.yaml"]),
    ("sampler.init", "{uniform: [-0.5, 0.5]}", &[]),
    ("sampler.init", "{gaussian: {mean: 0.1, std: 0.5}}", &[]),
    ("sampler.init", "data", &[]),
    ("sampler.init", "{noisy-data: {std: 0.1}}", &[]),
    ("sampler.init", "{class-gaussians: {jitter: 1.0e-3}}", &[]),
    ("buffer.size", "16", &[]),
    ("buffer.reinit_prob", "0", &[]),
    ("buffer.reinit_prob", "1", &[]),
    ("buffer.storage", "f32", &[]),
    ("buffer.storage", "u8", &[]),
    ("buffer.replacement", "in-place", &[]),
    ("buffer.replacement", "reservoir", &[]),
    (
        "buffer.augment",
        "{resized_crop: [0.5, 1], flip: true, grey: 0.2, jitter: {brightness: 0.1, contrast: 0.1, saturation: 0.1, hue: 0.1}}",
        &["model=colour.yaml", "data.dataset={folder: {path: pictures}}"],
    ),
    ("objective.contrastive.weight", "0.5", &[]),
    ("objective.contrastive.from", "1", CLASSES),
    ("objective.contrastive.energy_reg", "0.5", &[]),
    ("objective.cross-entropy.weight", "2", CLASSES),
    ("objective.cross-entropy.label_smoothing", "0.1", CLASSES),
    ("objective.conditional.weight", "0.5", BY_CLASS),
    ("objective.conditional.from", "1", BY_CLASS),
    ("objective.conditional.energy_reg", "0.5", BY_CLASS),
    ("objective.joint.weight", "0.5", WITH_CLASS),
    (
        "objective.joint.from",
        "1",
        &[
            "model=classes.yaml",
            "sampler.classes=drawn",
            "objective={cross-entropy: {}}",
        ],
    ),
    ("objective.joint.energy_reg", "0.5", WITH_CLASS),
    ("objective.chain-kl.weight", "1", BESIDE),
    ("objective.chain-kl.from", "1", LATER),
    ("objective.chain-entropy.weight", "0.3", BESIDE),
    ("objective.chain-entropy.from", "1", LATER),
    (
        "objective.denoising.weight",
        "2",
        &["sampler=null", "objective={denoising: {sigma: 0.3}}"],
    ),
    ("objective.denoising.sigma", "0.1", BESIDE),
    ("objective.nce.weight", "2", BESIDE),
    (
        "objective.nce.noise",
        "{gaussian: {mean: 0, std: 1}}",
        &["sampler=null", "objective={nce: {}}"],
    ),
    (
        "objective.nce.noise",
        "{data: {jitter: 1.0e-2}}",
        &["sampler=null", "objective={nce: {}}"],
    ),
    (
        "objective.nce.noise",
        "{mixture: {components: 3, jitter: 1.0e-2, iterations: 5}}",
        &["sampler=null", "objective={nce: {}}"],
    ),
    (
        "objective.nce.noise",
        "{run: {path: base, step: 2}}",
        &["sampler=null", "objective={nce: {}}"],
    ),
    ("objective.nce.ratio", "3", &["sampler=null", "objective={nce: {}}"]),
    ("optimizer.algorithm", "{adam: {betas: [0.5, 0.9], eps: 1.0e-7}}", &[]),
    (
        "optimizer.algorithm",
        "{adamw: {betas: [0.5, 0.9]}}",
        &["optimizer.weight_decay=0.1"],
    ),
    ("optimizer.algorithm", "{sgd: {momentum: 0.9, nesterov: true}}", &[]),
    ("optimizer.lr", "1.0e-4", &[]),
    ("optimizer.weight_decay", "0.01", &[]),
    ("optimizer.warmup", "2", &[]),
    ("optimizer.schedule", "constant", &[]),
    ("optimizer.schedule", "{step: {milestones: [1], gamma: 0.1}}", &[]),
    ("optimizer.schedule", "{exponential: {gamma: 0.9, every: 1}}", &[]),
    ("optimizer.schedule", "{cosine: {end: 1.0e-5}}", &[]),
    ("optimizer.grad_clip", "{norm: 1}", &[]),
    ("optimizer.grad_clip", "{value: 0.1}", &[]),
    ("optimizer.grad_clip", "{moment: {k: 3, floor: 0.1}}", &[]),
    ("optimizer.ema", "0.9", &[]),
    ("optimizer.ema", "null", &[]),
    ("optimizer.sam", "{rho: 0.05, adaptive: true}", &[]),
    ("train.steps", "2", &[]),
    (
        "train.minutes",
        "0.02",
        &["train.steps=null", "train.checkpoint_every=1000"],
    ),
    ("train.batch_size", "4", &[]),
    ("train.labelled_batch_size", "4", CLASSES),
    ("train.precision", "f32", &[]),
    ("train.precision", "tf32", &[]),
    ("train.precision", "bf16", &[]),
    ("train.statistics", "all", &["model=tiny_classifier.yaml"]),
    ("train.statistics", "data", &["model=tiny_classifier.yaml"]),
    ("train.cuda_graph", "auto", &[]),
    ("train.cuda_graph", "off", &[]),
    ("train.log_every", "1", &[]),
    ("train.checkpoint_every", "1", &[]),
    ("train.keep", "1", &["train.checkpoint_every=1"]),
    ("guard.every", "1", &[]),
    ("guard.max_abs_energy", "1000", &[]),
    ("guard.grad_norm_factor", "10", &[]),
    ("guard.grad_norm_patience", "2", &[]),
    ("guard.max_rollbacks", "0", &[]),
    ("guard.lr_factor", "1", &[]),
    ("report.every", "1", &[]),
    ("report.images", "3", &["report.every=1"]),
    ("report.sample_steps", "2", &["report.every=1"]),
    ("report.tensorboard", "true", &["report.every=1"]),
    (
        "evaluate.ood",
        "[{data: {folder: {path: pictures}}}, uniform, gaussian, constant, textures, interpolated, rotated, flipped, inverted, blurred]",
        &[],
    ),
    ("evaluate.every", "1", LOOKS),
    ("evaluate.images", "4", LOOKS),
    ("evaluate.best", "frechet", LOOKS),
    (
        "evaluate.best",
        "accuracy",
        &[
            "model=classes.yaml",
            "objective.cross-entropy={}",
            "evaluate.every=1",
            "evaluate.images=4",
        ],
    ),
    ("evaluate.best", "auroc", LOOKS),
    (
        "evaluate.best",
        "energy-distance",
        &[
            "model=plane.yaml",
            "data.dataset={toy: {density: rings, count: 1200}}",
            "data.augment={}",
            "evaluate.ood=[]",
            "evaluate.every=1",
            "evaluate.images=4",
            "sampler.kernel={mala: {step_size: 0.05}}",
        ],
    ),
    ("evaluate.limit", "3", &[]),
];

/// Choices that are not trained with here, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("data.dataset", "none"),     // no images
    ("data.dataset", "cifar10"),  // the files are large, and no test needs them
    ("data.dataset", "cifar100"), // no package has the files
    ("data.dataset", "svhn"),
    ("space.values", "binary"), // no kernel moves them
];

/// A node without null, and what it refers to.
fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let several = node["anyOf"].as_array();
    let node = several
        .and_then(|all| all.iter().find(|n| n["$ref"].is_string()))
        .unwrap_or(node);
    match node["$ref"].as_str() {
        Some(name) => &schema["$defs"][name.strip_prefix("#/$defs/").unwrap()],
        None => node,
    }
}

/// The keys of a section, or the words of the kinds that stand in its place with keys.
fn inner(node: &Value) -> Vec<(&String, &Value)> {
    let kinds = node["oneOf"].as_array().into_iter().flatten();
    let sections = kinds.chain([node]).filter_map(|n| n["properties"].as_object());
    sections.flatten().collect()
}

/// The paths of all keys, with what each allows; below `sampler.kernel` and `objective` those of
/// every kind.
fn keys<'a>(schema: &'a Value, node: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    for (key, node) in inner(node) {
        let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        let node = resolved(schema, node);
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        match SECTIONS.contains(&path.as_str()) || ["sampler.kernel", "objective"].contains(&parent) {
            true => keys(schema, node, &path, found),
            false => found.push((path, node)),
        }
    }
}

/// The words that a key allows, where it allows words.
fn choices(schema: &Value, node: &Value) -> Vec<String> {
    let node = match node["items"]["$ref"].is_string() {
        true => resolved(schema, &node["items"]),
        false => node,
    };
    let words = |kind: &Value| -> Vec<String> {
        let plain = kind["enum"].as_array().into_iter().flatten().chain([&kind["const"]]);
        let plain = plain.filter_map(|word| word.as_str().map(str::to_owned));
        let held = kind["properties"]
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys().cloned());
        plain.chain(held).collect()
    };
    match node["oneOf"].as_array() {
        Some(kinds) => kinds.iter().flat_map(words).collect(),
        None if node["enum"].is_array() => words(node),
        None => Vec::new(),
    }
}

/// The words that a value is or begins with.
fn names(value: &str, choice: &str) -> bool {
    let mut words = value.split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
    words.any(|word| word == choice)
}

#[test]
fn every_key_and_choice_of_the_reference_has_a_setting() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut all = Vec::new();
    keys(&schema, &schema, "", &mut all);
    assert!(all.len() > 100, "{} keys", all.len());
    // Keys of kinds are all in the examples that are trained with below.
    let of_kind = |key: &str| {
        let below = ["sampler.kernel.", "objective."]
            .iter()
            .find_map(|s| key.strip_prefix(s));
        below.is_some_and(|rest| rest.contains('.'))
    };
    for (key, node) in &all {
        if of_kind(key) {
            continue;
        }
        let values: Vec<&str> = SETTINGS.iter().filter(|s| s.0 == key).map(|s| s.1).collect();
        assert!(!values.is_empty(), "`{key}` is never trained with");
        for choice in choices(&schema, node) {
            let left_out = LEFT_OUT.contains(&(key.as_str(), choice.as_str()));
            let tried = key == "sampler.kernel" || values.iter().any(|value| names(value, &choice));
            assert!(tried || left_out, "`{key}: {choice}` is never trained with");
        }
    }
    let all: BTreeSet<&str> = all.iter().map(|(key, _)| key.as_str()).collect();
    for (key, ..) in SETTINGS {
        assert!(all.contains(key), "`{key}` is not in the reference");
    }
}

#[test]
fn every_kernel_and_every_term_trains() {
    let bench = furnished();
    let train = |name: &str, sets: &[String]| {
        let mut command = bench.command(&format!("train tiny.yaml --out {name} --set train.steps=2"));
        sets.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        let out = command.output().unwrap();
        assert!(out.status.success(), "{name}\n{}", common::text(&out.stderr));
    };
    for kernel in KernelConfig::examples().into_iter().filter(|k| k.word() != "recovery") {
        let section = inline(yaml::to_value(&kernel));
        let mut sets = vec![format!("sampler.kernel={section}")];
        sets.extend(kernel.build(1).facts().levels.map(|_| "model=levels.yaml".to_owned()));
        train(&kernel.word(), &sets);
    }
    for (key, objective) in ObjectiveConfig::examples() {
        let (asks, mut tree) = (objective.asks(), yaml::to_value(&objective));
        if asks.chain_end || asks.generator {
            // It stands beside a term of the data.
            tree["contrastive"] = serde_yaml::Value::Mapping(Default::default());
        }
        let mut sets = vec![format!("objective={}", inline(tree))];
        sets.extend(asks.labels.then(|| "model=classes.yaml".to_owned()));
        sets.extend(asks.levels.map(|_| "model=levels.yaml".to_owned()));
        sets.extend(of_own_chains(&key, &asks));
        let classes = asks.chain_classes.map(|c| yaml::to_value(&c));
        sets.extend(classes.map(|c| format!("sampler.classes={}", c.as_str().unwrap())));
        train(&key, &sets);
    }
}

/// What terms that start their chains themselves ask of the sampler.
fn of_own_chains(key: &str, asks: &Asks) -> Vec<String> {
    let mut sets = Vec::new();
    sets.extend(asks.own_chains.then(|| "sampler.start=noise".to_owned()));
    if key == "recovery" {
        let kernel = KernelConfig::examples().into_iter().find(|k| k.word() == key).unwrap();
        sets.push(format!("sampler.kernel={}", inline(yaml::to_value(&kernel))));
    }
    sets
}

fn inline(tree: serde_yaml::Value) -> String {
    serde_json::to_string(&tree).unwrap()
}

const LEVELS_MODEL: &str = "
name: levels
input: [1, 8, 8]
levels: {low: 0.1, high: 3, form: {input: {data_std: 1}}}
layers: [conv: {out: 2, kernel: 3}, silu, flatten, linear: {out: 1}]
";

const PLANE: &str = "
name: plane
input: [2]
layers: [linear: {out: 8}, silu, linear: {out: 1}]
";

const COLOUR: &str = "
name: colour
input: [3, 8, 8]
layers: [flatten, linear: {out: 1}]
";

const LARGE: &str = "
name: large
input: [1, 28, 28]
layers: [flatten, linear: {out: 1}]
";

/// A bench with all that a setting may name.
fn furnished() -> Bench {
    let bench = Bench::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(bench.path(name), bytes).unwrap();
    write("classes.yaml", common::CLASSIFIER.as_bytes());
    write("colour.yaml", COLOUR.as_bytes());
    write("large.yaml", LARGE.as_bytes());
    write("plane.yaml", PLANE.as_bytes());
    write("levels.yaml", LEVELS_MODEL.as_bytes());
    for (folder, side) in [("pictures", 9), ("more", 9), ("exact", 8)] {
        std::fs::create_dir(bench.path(folder)).unwrap();
        for i in 0..40u32 {
            let picture = image::RgbImage::from_fn(side, 8, |x, y| {
                image::Rgb([(x * 20 + i) as u8, (y * 30) as u8, (i * 6) as u8])
            });
            picture.save(bench.path(&format!("{folder}/{i:02}.png"))).unwrap();
        }
    }
    let pixels: Vec<u8> = (0..40u32 * 64).map(|i| (i * 7 % 251) as u8).collect();
    let labels: Vec<u8> = (0..40).map(|i| i % 2).collect();
    write("x.npy", &npy("(40, 8, 8)", &pixels));
    write("y.npy", &npy("(40,)", &labels));
    write(
        "x.idx",
        &[&[0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0, 0, 8], &pixels[..]].concat(),
    );
    write("y.idx", &[&[0, 0, 8, 1, 0, 0, 0, 40], &labels[..]].concat());
    let mixture = r#"--set model={"gaussian-mixture":{"input":[1,8,8],"components":2}} --set train.steps=2"#;
    bench.succeeds(&format!(
        r#"train tiny.yaml --out base {mixture} --set sampler=null --set objective={{"nce":{{}}}}"#
    ));
    bench
}

fn npy(shape: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:117}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), content].concat()
}

/// Trains with each of some settings for two steps.
fn train(settings: &[Setting]) {
    let bench = furnished();
    let data = std::env::current_dir().unwrap().join("data");
    for (i, (key, value, others)) in settings.iter().enumerate() {
        let root = format!("data.root={}", data.display());
        let defaults = [
            root.as_str(),
            "train.steps=2",
            "train.checkpoint_every=2",
            "data.validation=5",
        ];
        let named = others.iter().copied().map(str::to_owned);
        let sets = defaults
            .iter()
            .map(|s| (*s).to_owned())
            .chain(named)
            .chain([format!("{key}={value}")]);
        let mut command = bench.command(&format!("train tiny.yaml --out run{i}"));
        for set in sets {
            command.args(["--set", &set]);
        }
        let out = command.output().unwrap();
        assert!(out.status.success(), "{key}: {value}\n{}", common::text(&out.stderr));
    }
}

/// A share of the settings, so that several processes can train them side by side.
fn share(number: usize) {
    let own: Vec<Setting> = SETTINGS.iter().skip(number).step_by(3).copied().collect();
    train(&own);
}

#[test]
fn settings_are_trained_with_first_third() {
    share(0);
}

#[test]
fn settings_are_trained_with_second_third() {
    share(1);
}

#[test]
fn settings_are_trained_with_last_third() {
    share(2);
}
