//! One step of training on unequal classes, through the real binary: what the biases of the classes
//! learn; and old files.

mod common;

use std::fs;

use common::Bench;
use ebm::experiment::Experiment;
use ebm::sampling::ChainClasses;
use tch::{Kind, Tensor};

const MODEL: &str = "
name: biases
input: [1, 4, 4]
output: logits
layers: [flatten, linear: {out: 2}]
";

const EXPERIMENT: &str = "
threads: 1
data: {dataset: {folder: {path: pictures, test: pictures, fit: exact}}}
model: biases.yaml
sampler: {n_steps: 2, step_size: 0.1, noise_scale: 0.01, precision: f32, layout: contiguous}
buffer: {size: 80}
objective: {p_x_weight: 0}
optimizer: {algorithm: {sgd: {}}, lr: 1}
train: {steps: 1, batch_size: 40}
report: {every: 0, images: 1, sample_steps: 1, tensorboard: false}
";

/// Pictures of two classes, 30 and 10, and a network whose mass is all on class 0.
fn unequal() -> Bench {
    let bench = Bench::new();
    for (class, n) in [("a", 30u8), ("b", 10)] {
        let folder = bench.path("pictures").join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..n {
            let picture = image::GrayImage::from_pixel(4, 4, image::Luma([6 * i + 20]));
            picture.save(folder.join(format!("{i:02}.png"))).unwrap();
        }
    }
    fs::write(bench.path("biases.yaml"), MODEL).unwrap();
    fs::write(bench.path("unequal.yaml"), EXPERIMENT).unwrap();
    let weights = [
        (
            "1.weight".to_owned(),
            Tensor::zeros([2, 16], (Kind::Float, tch::Device::Cpu)),
        ),
        ("1.bias".to_owned(), Tensor::from_slice(&[20f32, 0.0])),
    ];
    let bytes = ebm::files::encode(&weights.into_iter().collect()).unwrap();
    fs::write(bench.path("start.safetensors"), bytes).unwrap();
    bench.succeeds("import start.safetensors --model biases.yaml --out start");
    bench
}

/// What one step of gradient descent at rate 1 adds to the biases.
fn step(bench: &Bench, name: &str, changes: &str) -> [f64; 2] {
    bench.succeeds(&format!("train unequal.yaml --init-from start --out {name} {changes}"));
    let file = bench.path(name).join("checkpoints/step-1/weights.safetensors");
    let bias = &ebm::files::read(&file).unwrap()["1.bias"];
    [bias.double_value(&[0]) - 20.0, bias.double_value(&[1])]
}

fn near(found: [f64; 2], expected: [f64; 2]) {
    let off = (0..2).map(|i| (found[i] - expected[i]).abs()).fold(0.0, f64::max);
    assert!(off < 1e-5, "{found:?}, expected {expected:?}");
}

#[test]
fn biases_of_unequal_classes_learn_what_each_term_asks_for() {
    let bench = unequal();
    // p(x|y) says nothing of p(y), however often a class is labelled.
    let by_class = "--set objective.chains=by-class --set objective.p_x_given_y_weight=1";
    near(step(&bench, "conditional", by_class), [0.0, 0.0]);
    // p(x,y) asks for the shares of the labels, 3/4 and 1/4, where the model has 1 and 0.
    let with_class = "--set objective.chains=with-class --set objective.p_x_y_weight=1";
    near(step(&bench, "pairs", with_class), [-0.25, 0.25]);
    // So do p(x) and p(y|x) together, and p(y|x) alone, since p(x) is content with any biases.
    let jem = "--set objective.p_x_weight=1 --set objective.p_y_given_x_weight=1";
    near(step(&bench, "jem", jem), [-0.25, 0.25]);
    near(step(&bench, "marginal", "--set objective.p_x_weight=1"), [0.0, 0.0]);
}

#[test]
fn few_labels_decide_the_shares_of_chains() {
    let bench = unequal();
    // Ten labels of each class: the labelled batch is half and half, and so are the chains.
    let few = "--set data.labels_per_class=10 --set train.labelled_batch_size=20 --set train.batch_size=20";
    let conditional = "--set objective.chains=by-class --set objective.p_x_given_y_weight=1";
    near(step(&bench, "few", &format!("{few} {conditional}")), [0.0, 0.0]);
    let slots = ebm::files::read(&bench.path("few/checkpoints/step-1/buffer.safetensors")).unwrap();
    assert_eq!(slots["classes"].sum(Kind::Int64).int64_value(&[]), 40);
    let all = "--set data.validation=0 --set train.batch_size=40";
    step(&bench, "all", &format!("{all} {conditional}"));
    let slots = ebm::files::read(&bench.path("all/checkpoints/step-1/buffer.safetensors")).unwrap();
    assert_eq!(slots["classes"].sum(Kind::Int64).int64_value(&[]), 20);
}

#[test]
fn a_class_without_a_labelled_image_has_no_chain_and_a_warning() {
    let bench = unequal();
    // The class is there, and its images are all held out.
    let pictures = bench.path("pictures");
    for i in 1..10 {
        fs::remove_file(pictures.join(format!("b/{i:02}.png"))).unwrap();
    }
    let conditional = "--set objective.chains=by-class --set objective.p_x_given_y_weight=1 --set train.batch_size=8";
    let warns = |seed: u32| {
        let line = format!(
            "train unequal.yaml --out s{seed} {conditional} --set data.validation=15 --set data.split_seed={seed}"
        );
        let out = bench.ebm(&line);
        assert!(out.status.success(), "{}", common::text(&out.stderr));
        common::text(&out.stderr).contains("warning: no labelled image is of class `b`")
    };
    let found: Vec<bool> = (0..4).map(warns).collect();
    let held = |seed: usize| {
        let file = bench.path(&format!("s{seed}/checkpoints/step-1/buffer.safetensors"));
        ebm::files::read(&file).unwrap()["classes"].max().int64_value(&[]) == 0
    };
    assert_eq!(found, (0..4).map(held).collect::<Vec<_>>());
    assert!(found.contains(&true) && found.contains(&false), "{found:?}");
}

#[test]
fn files_of_an_earlier_version_mean_what_they_meant_on_balanced_classes() {
    let bench = unequal();
    let train = |name: &str, objective: &str| {
        let text = EXPERIMENT.replace("{p_x_weight: 0}", objective);
        fs::write(bench.path("old.yaml"), text).unwrap();
        let out = bench.ebm(&format!("train old.yaml --out {name}"));
        assert!(out.status.success(), "{}", common::text(&out.stderr));
        common::text(&out.stderr)
    };
    let told = train(
        "pairs",
        "{chains: by-class, p_x_weight: 0, p_y_given_x_weight: 1, p_x_y_weight: 0.3, energy_reg: 0.1}",
    );
    assert!(
        told.contains("notice: objective:") && told.contains("the term conditional in the place"),
        "{told}"
    );
    let terms = |name: &str| {
        let e = Experiment::load(&bench.path(name).join("resolved.yaml"), &[]).unwrap();
        (e.chain_classes(), e.objective)
    };
    let (classes, pairs) = terms("pairs");
    let conditional = pairs.conditional.unwrap();
    assert_eq!(classes, ChainClasses::Kept);
    assert_eq!((conditional.weight, conditional.energy_reg), (0.3, 0.0));
    assert!(pairs.contrastive.is_none() && pairs.joint.is_none());
    let told = train(
        "jem",
        "{chains: by-class, p_x_weight: 0.5, p_y_given_x_weight: 1, p_x_y_weight: 0.3}",
    );
    assert!(told.contains("read as sampler.classes: drawn"), "{told}");
    let (classes, jem) = terms("jem");
    assert_eq!(classes, ChainClasses::Drawn);
    assert_eq!((jem.joint.unwrap().weight, jem.contrastive.unwrap().weight), (0.3, 0.5));
    // The old word for chains without a class is still read, and what is written says it right.
    let told = train("marginal", "{chains: joint}");
    assert!(!told.contains("notice: objective"), "{told}");
    assert_eq!(terms("marginal").0, ChainClasses::None);
    // A resolved file of today is not taken for an old one.
    let again = bench.ebm("train pairs/resolved.yaml --out again");
    assert!(again.status.success() && !common::text(&again.stderr).contains("notice: objective"));
}

#[test]
fn p_x_may_begin_late() {
    let bench = Bench::new();
    let line = format!("train tiny.yaml --out run {} --set objective.p_x_from=13", common::JEM);
    bench.succeeds(&line);
    let text = fs::read_to_string(bench.path("run/metrics.jsonl")).unwrap();
    let steps = |key: &str| -> Vec<u64> {
        let lines = text
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let with = lines.filter(|l| l.get(key).is_some());
        with.filter_map(|l| l["step"].as_u64()).collect()
    };
    assert_eq!(steps("energy_pos"), [5, 10, 15, 20, 25, 30, 35, 40]);
    assert_eq!(steps("energy_neg"), [15, 20, 25, 30, 35, 40]);
}
