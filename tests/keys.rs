//! Every key and every choice that the README names is trained with for two steps, so that none is
//! dead.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::Bench;
use ebm::config::yaml;
use ebm::experiment::Experiment;
use serde_yaml::Value;

const README: &str = include_str!("../README.md");

/// Sections whose keys are set one by one; what lies below any other key is set with it.
const SECTIONS: [&str; 10] = [
    "data",
    "data.augment",
    "sampler",
    "buffer",
    "objective",
    "optimizer",
    "train",
    "guard",
    "report",
    "evaluate",
];

/// Changes that give the tiny experiment a classifier and the terms that need one.
const CLASSES: &[&str] = &["model=classes.yaml", "objective.p_y_given_x_weight=1"];
const BY_CLASS: &[&str] = &[
    "model=classes.yaml",
    "objective.p_x_weight=0",
    "objective.p_y_given_x_weight=1",
    "objective.chains=by-class",
    "objective.p_x_given_y_weight=1",
];
const LOOKS: &[&str] = &["evaluate.every=1", "evaluate.images=4"];
const DRAWN: &[&str] = &["sampler.noise_scale=null"];
const LEVELS: &[&str] = &["sampler.order=null"];

/// A key, a value that the README allows, and what else it needs.
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
    ("sampler.step_size", "0.5", &[]),
    ("sampler.step_size", "0", &["sampler.inner={steps: 2, step_size: 0.1}"]),
    ("sampler.inner", "{steps: 2, step_size: 0.1}", &[]),
    ("sampler.noise_scale", "0", &[]),
    ("sampler.noise_scale", "null", &[]),
    ("sampler.temperature", "0.5", DRAWN),
    ("sampler.grad_clip", "{value: 0.1}", &[]),
    ("sampler.grad_clip", "{norm: 0.1}", &[]),
    ("sampler.grad_clip", "null", &[]),
    ("sampler.clamp", "[-0.9, 0.9]", &[]),
    ("sampler.clamp", "null", LEVELS),
    ("sampler.order", "[clamp, gradient, noise]", &[]),
    ("sampler.step_schedule", "constant", &[]),
    ("sampler.step_schedule", "{linear: {end: 0.1}}", &[]),
    ("sampler.step_schedule", "{geometric: {end: 0.1}}", &[]),
    ("sampler.step_schedule", "{polynomial: {end: 0.1, power: 2}}", &[]),
    ("sampler.noise_schedule", "constant", &[]),
    ("sampler.noise_schedule", "{linear: {end: 0}}", &[]),
    ("sampler.noise_schedule", "{geometric: {end: 0.1}}", &[]),
    ("sampler.noise_schedule", "{polynomial: {end: 0.1, power: 2}}", &[]),
    ("sampler.precision", "auto", &[]),
    ("sampler.precision", "f32", &[]),
    ("sampler.precision", "bf16", &[]),
    ("sampler.layout", "auto", &[]),
    ("sampler.layout", "contiguous", &[]),
    ("sampler.layout", "channels-last", &[]),
    ("sampler.chain_batch", "3", &[]),
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
    ("objective.negatives", "persistent", &[]),
    ("objective.negatives", "data", &[]),
    ("objective.negatives", "noise", &[]),
    ("objective.chains", "marginal", CLASSES),
    ("objective.chains", "by-class", BY_CLASS),
    ("objective.chains", "with-class", CLASSES),
    ("objective.p_x_weight", "0", CLASSES),
    ("objective.p_x_weight", "0.5", &[]),
    ("objective.p_x_from", "1", CLASSES),
    ("objective.p_y_given_x_weight", "1", CLASSES),
    ("objective.p_x_given_y_weight", "0.5", BY_CLASS),
    (
        "objective.p_x_y_weight",
        "0.5",
        &["model=classes.yaml", "objective.chains=with-class"],
    ),
    ("objective.energy_reg", "0.5", &[]),
    ("objective.energy_reg", "0.5", BY_CLASS),
    ("objective.data_noise", "0", &[]),
    ("objective.labelled_noise", "0.1", CLASSES),
    ("objective.label_smoothing", "0.1", CLASSES),
    ("objective.statistics", "all", &["model=tiny_classifier.yaml"]),
    ("objective.statistics", "data", &["model=tiny_classifier.yaml"]),
    ("objective.kl_weight", "1", &[]),
    ("objective.entropy_weight", "0.3", &[]),
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
            "objective.p_y_given_x_weight=1",
            "evaluate.every=1",
            "evaluate.images=4",
        ],
    ),
    ("evaluate.best", "auroc", LOOKS),
    ("evaluate.limit", "3", &[]),
];

/// Choices that are not trained with here, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("data.dataset", "none"),     // no images
    ("data.dataset", "cifar10"),  // the files are large, and no test needs them
    ("data.dataset", "cifar100"), // no package has the files
    ("data.dataset", "svhn"),
    ("objective.chains", "joint"), // an earlier word for marginal
];

/// The reference of all keys.
fn reference() -> &'static str {
    let start = README.find("```yaml\nname: my-run").expect("the reference") + "```yaml\n".len();
    &README[start..start + README[start..].find("```").expect("a closed block")]
}

/// The paths of all keys that the reference shows.
fn keys() -> BTreeSet<String> {
    let tree = yaml::parse(reference(), Path::new("README.md")).unwrap();
    let mut found = BTreeSet::new();
    collect(&tree, "", &mut found);
    found
}

fn collect(section: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (key, value) in section.as_mapping().unwrap() {
        let key = key.as_str().unwrap();
        let path = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        match SECTIONS.contains(&path.as_str()) {
            true => collect(value, &path, found),
            false => drop(found.insert(path)),
        }
    }
}

/// The words that a key allows, where it allows words: the error about another one lists them.
fn choices(key: &str) -> Vec<String> {
    let place = Path::new("my-run.yaml");
    let Err(error) = Experiment::from_text(reference(), place, &[format!("{key}=nosuchword")]) else {
        return Vec::new();
    };
    let text = error.to_string();
    let Some((_, known)) = text.split_once("known here: ") else {
        return Vec::new();
    };
    let known = known.split([')', '\n']).next().unwrap();
    known.split(", ").map(str::to_owned).collect()
}

/// The word that a value is or begins with.
fn word(value: &str) -> &str {
    let value = value.trim_start_matches('{');
    value.split([':', '}']).next().unwrap()
}

#[test]
fn every_key_and_choice_of_the_reference_has_a_setting() {
    let keys = keys();
    assert!(keys.len() > 80, "{} keys", keys.len());
    for key in &keys {
        let values: Vec<&str> = SETTINGS.iter().filter(|s| s.0 == key).map(|s| s.1).collect();
        assert!(!values.is_empty(), "`{key}` is never trained with");
        for choice in choices(key) {
            let left_out = LEFT_OUT.contains(&(key.as_str(), choice.as_str()));
            let tried = values.iter().any(|v| word(v) == choice);
            assert!(tried || left_out, "`{key}: {choice}` is never trained with");
            assert!(
                left_out || reference().contains(&choice),
                "the reference does not name `{key}: {choice}`"
            );
        }
    }
    for (key, ..) in SETTINGS {
        assert!(keys.contains(*key), "`{key}` is not in the reference");
    }
}

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
