//! Training of classifiers that are energy models, through the real binary: what is learned, what is resumed, what is refused.

mod common;

use std::fs;

use common::{BY_CLASS, Bench, JEM};
use serde_json::Value;

/// Every line of metrics that holds `key`, as (step, value).
fn logged(bench: &Bench, run: &str, key: &str) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(bench.path(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines
        .filter_map(|l| Some((l["step"].as_u64()?, l.get(key)?.as_f64()?)))
        .collect()
}

fn results(bench: &Bench, run: &str) -> Value {
    serde_json::from_slice(&fs::read(bench.path(run).join("results.json")).unwrap()).unwrap()
}

#[test]
fn a_plain_classifier_is_the_same_trainer_without_chains() {
    let bench = Bench::new();
    bench.succeeds(
        "train tiny.yaml --out plain --set model=tiny_classifier.yaml --set objective.p_x_weight=0 --set objective.p_y_given_x_weight=1 --set data.dataset.strokes.count=400 --set train.steps=300 --set train.checkpoint_every=300 --set optimizer.lr=0.005 --set optimizer.grad_clip=null --set train.batch_size=32",
    );
    let classification = &results(&bench, "plain")["classification"];
    // Chance has 0.5 with a standard error of 0.056 over 80 images.
    assert!(classification["accuracy"].as_f64().unwrap() > 0.7, "{classification}");
    assert!(logged(&bench, "plain", "energy_neg").is_empty() && logged(&bench, "plain", "chain_grad_norm").is_empty());
    assert!(!logged(&bench, "plain", "images_per_second").is_empty());
    assert!(logged(&bench, "plain", "loss").is_empty(), "it is the cross entropy");
    let (first, last) = (
        logged(&bench, "plain", "cross_entropy")[0].1,
        logged(&bench, "plain", "cross_entropy").pop().unwrap().1,
    );
    assert!(last < 0.5 * first, "cross entropy went from {first} to {last}");
    let checkpoint = bench.path("plain/checkpoints/step-300");
    assert!(checkpoint.join("weights.safetensors").exists() && !checkpoint.join("buffer.safetensors").exists());
    assert!(
        !bench.path("plain/samples/final.png").exists(),
        "a plain classifier synthesises nothing"
    );
}

#[test]
fn a_jem_logs_all_its_terms_and_leaves_a_grid_by_class() {
    let bench = Bench::new();
    bench.succeeds(&format!(
        "train tiny.yaml --out run {JEM} --set objective.p_x_y_weight=0.5"
    ));
    for key in [
        "energy_pos",
        "energy_neg",
        "cross_entropy",
        "accuracy",
        "joint_energy_pos",
        "joint_energy_neg",
        "buffer_age",
    ] {
        assert_eq!(logged(&bench, "run", key).len(), 8, "{key}");
    }
    assert!(bench.path("run/samples/final.png").exists());
    let classification = &results(&bench, "run")["classification"];
    assert!(classification["images"].as_u64().unwrap() > 0 && classification["ece"].as_f64().is_some());
}

/// Train 40 = train 20, stop, resume, over every file of the checkpoint.
fn resumes(changes: &str) {
    let bench = Bench::new();
    let line = format!("{changes} --set optimizer.schedule=constant");
    bench.succeeds(&format!("train tiny.yaml --out whole {line}"));
    bench.succeeds(&format!("train tiny.yaml --out parts {line} --set train.steps=20"));
    bench.succeeds(&format!("train tiny.yaml --out parts {line} --resume"));
    let (a, b) = (bench.checkpoint("whole", 40), bench.checkpoint("parts", 40));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        // The configuration differs in nothing but what may.
        assert!(bytes == &b[name], "{name} differs");
    }
}

#[test]
fn a_jem_with_chains_by_class_and_few_labels_resumes() {
    resumes(&format!(
        "{BY_CLASS} --set objective.energy_reg=0.1 --set data.labels_per_class=7 --set train.labelled_batch_size=5 --set data.labelled_augment.flip=true --set objective.labelled_noise=0.02"
    ));
}

#[test]
fn a_jem_with_chains_that_draw_their_class_resumes() {
    resumes(&format!("{JEM} --set objective.p_x_y_weight=0.5"));
    resumes(&format!("{JEM} --set objective.negatives=noise"));
    resumes(&format!("{BY_CLASS} --set objective.negatives=noise"));
}

#[test]
fn sharpness_aware_training_resumes() {
    resumes(&format!(
        "{JEM} --set optimizer.sam.rho=0.5 --set optimizer.sam.adaptive=true --set optimizer.algorithm.adam.betas=[0.5,0.9]"
    ));
}

#[test]
fn the_proximal_sampler_with_batch_norm_by_the_chains_statistics_resumes() {
    // JEM++: class Gaussians, inner steps through the first layer, statistics of the batch along the chains.
    resumes(&format!(
        "{JEM} --set sampler.init=null --set sampler.init.class-gaussians.jitter=1e-4 --set sampler.step_size=0 --set sampler.noise_scale=0 --set sampler.inner.steps=2 --set sampler.inner.step_size=0.2 --set sampler.network_mode=training --set sampler.order=null --set objective.statistics=data"
    ));
}

#[test]
fn improved_contrastive_divergence_resumes_and_logs_its_terms() {
    let improved = "--set objective.kl_weight=1 --set objective.entropy_weight=0.3 --set buffer.augment.flip=true --set buffer.augment.resized_crop=[0.5,1] --set buffer.replacement=reservoir";
    resumes(improved);
    resumes(&format!(
        "{BY_CLASS} --set objective.kl_weight=1 --set objective.entropy_weight=0.3"
    ));
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out run {improved}"));
    for key in ["kl", "entropy"] {
        let values = logged(&bench, "run", key);
        assert!(
            values.len() == 8 && values.iter().all(|v| v.1.is_finite() && v.1 != 0.0),
            "{key}: {values:?}"
        );
    }
    bench.succeeds("train tiny.yaml --out plain");
    let weights = |run: &str| bench.checkpoint(run, 40)["weights.safetensors"].clone();
    assert!(weights("run") != weights("plain"), "the terms reach the weights");
}

#[test]
fn training_passes_in_bf16_resume() {
    resumes(&format!("{JEM} --set train.precision=bf16"));
}

#[test]
fn a_plain_classifier_resumes() {
    resumes("--set model=tiny_classifier.yaml --set objective.p_x_weight=0 --set objective.p_y_given_x_weight=1");
}

#[test]
fn the_monitor_measures_and_keeps_the_best() {
    let bench = Bench::new();
    bench.succeeds(&format!(
        "train tiny.yaml --out run {BY_CLASS} --set evaluate.every=10 --set evaluate.images=16 --set evaluate.best=accuracy"
    ));
    let keys = [
        "frechet_fresh",
        "frechet_start",
        "frechet_train",
        "frechet_buffer",
        "validation_accuracy",
        "auroc_uniform",
        "buffer_agreement",
        "buffer_agreement_worst_class",
        "buffer_age_spread",
    ];
    for key in keys {
        let values = logged(&bench, "run", key);
        assert_eq!(
            values.iter().map(|v| v.0).collect::<Vec<_>>(),
            [10, 20, 30, 40],
            "{key}"
        );
        assert!(
            values.iter().all(|v| v.1.is_finite() && v.1 >= 0.0),
            "{key}: {values:?}"
        );
    }
    let best: Value = serde_json::from_slice(&fs::read(bench.path("run/checkpoints/best.json")).unwrap()).unwrap();
    let accuracy = logged(&bench, "run", "validation_accuracy");
    let greatest = accuracy.iter().map(|v| v.1).fold(0.0, f64::max);
    assert_eq!(
        (best["metric"].as_str(), best["value"].as_f64()),
        (Some("validation_accuracy"), Some(greatest))
    );
}

#[test]
fn the_monitor_of_an_energy_without_classes_goes_by_distance() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set evaluate.every=20 --set evaluate.images=16");
    let best: Value = serde_json::from_slice(&fs::read(bench.path("run/checkpoints/best.json")).unwrap()).unwrap();
    let distances = logged(&bench, "run", "frechet_fresh");
    let least = distances.iter().map(|v| v.1).fold(f64::MAX, f64::min);
    assert_eq!(
        (best["metric"].as_str(), best["value"].as_f64()),
        (Some("-frechet_fresh"), Some(-least))
    );
    assert!(logged(&bench, "run", "validation_accuracy").is_empty());
    // The sets of the table are uniform noise alone: their mean is no other number.
    assert!(logged(&bench, "run", "validation_auroc").is_empty());
    // What the chains are read against does not change where the features do not.
    for key in ["frechet_start", "frechet_train"] {
        let values = logged(&bench, "run", key);
        assert!(
            values.len() == 2 && values[0].1 == values[1].1 && values[0].1 > 0.0,
            "{key}: {values:?}"
        );
    }
    let first = |key| logged(&bench, "run", key)[0].1;
    assert!(
        first("frechet_train") < first("frechet_start"),
        "noise is further off than data"
    );
}

#[test]
fn a_look_of_the_monitor_changes_nothing_in_the_run() {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out without {JEM}"));
    bench.succeeds(&format!(
        "train tiny.yaml --out with {JEM} --set evaluate.every=5 --set evaluate.images=8"
    ));
    let (a, b) = (bench.checkpoint("without", 40), bench.checkpoint("with", 40));
    for name in [
        "weights.safetensors",
        "ema.safetensors",
        "buffer.safetensors",
        "optimizer.safetensors",
        "state.json",
    ] {
        assert!(a[name] == b[name], "{name} differs");
    }
}

#[test]
fn what_needs_classes_is_refused_without_them() {
    let bench = Bench::new();
    let refused = |changes: &str, mentions: &[&str]| {
        bench.fails(&format!("train tiny.yaml --out run {changes}"), 2, mentions);
        assert!(!bench.path("run").exists(), "nothing is made of a refused experiment");
    };
    let logits = "--set model=tiny_classifier.yaml";
    refused(
        "--set objective.p_y_given_x_weight=1",
        &["objective.cross-entropy", "output: logits"],
    );
    refused(
        "--set objective.chains=by-class",
        &["sampler.classes", "output: logits"],
    );
    refused(
        &format!("{logits} --set objective.p_x_y_weight=1"),
        &["objective.joint", "drawn"],
    );
    refused(
        &format!("{logits} --set objective.p_x_given_y_weight=1 --set objective.chains=with-class"),
        &["objective.conditional", "kept"],
    );
    refused(
        &format!("{BY_CLASS} --set objective.p_x_weight=0.5"),
        &["objective.contrastive", "follow p(x|y)", "drawn"],
    );
    refused(
        &format!("{logits} --set objective.chains=by-class"),
        &["objective.contrastive", "follow p(x|y)", "drawn"],
    );
    refused(
        &format!("{JEM} --set sampler.temperature=2 --set sampler.noise_scale=null"),
        &["sampler.kernel.langevin.temperature", "at temperature 1"],
    );
    refused(
        &format!("{JEM} --set objective.kl_weight=1"),
        &["objective.chain-kl", "sampler.classes"],
    );
    refused(
        &format!("{logits} --set objective.p_x_weight=0"),
        &["objective", "nothing is left to minimise"],
    );
    refused(
        &format!("{logits} --set objective.p_x_weight=-1"),
        &["objective.contrastive.weight", "out of range"],
    );
    refused(
        &format!("{JEM} --set objective.label_smoothing=1"),
        &["objective.cross-entropy.label_smoothing"],
    );
    refused(
        &format!("{BY_CLASS} --set objective.negatives=data"),
        &["sampler.classes", "sampler.start"],
    );
    refused(
        &format!("{BY_CLASS} --set sampler.start=halves"),
        &["sampler.classes", "sampler.start"],
    );
    refused(
        &format!("{BY_CLASS} --set buffer.replacement=reservoir"),
        &["buffer.replacement", "in-place"],
    );
    refused(
        &format!("{JEM} --set objective.p_x_from=40"),
        &["objective", "below train.steps"],
    );
    refused(
        "--set data.labels_per_class=3",
        &["data.labels_per_class", "no term of the objective uses labels"],
    );
    refused(
        &format!("{JEM} --set data.labels_per_class=1000"),
        &["data.labels_per_class", "ask for fewer"],
    );
    refused(&format!("{JEM} --set optimizer.sam.rho=0"), &["optimizer.sam.rho"]);
    refused("--set evaluate.best=accuracy", &["evaluate.best", "frechet or auroc"]);
    refused(
        &format!("{JEM} --set train.precision=f16"),
        &["train.precision", "bf16"],
    );
    refused(
        &format!("{JEM} --set train.labelled_batch_size=0"),
        &["train.labelled_batch_size"],
    );
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let model = fs::read_to_string(bench.path("tiny_classifier.yaml")).unwrap();
    fs::write(bench.path("three.yaml"), model.replace("out: 2}", "out: 3}")).unwrap();
    bench.fails(
        "train tiny.yaml --out run --set model=three.yaml --set objective.p_y_given_x_weight=1",
        2,
        &["the images are of 2 classes, the network tells 3 apart"],
    );
    let images = bench.path("plain");
    fs::create_dir(&images).unwrap();
    for i in 0..20 {
        image::GrayImage::from_pixel(8, 8, image::Luma([12 * i]))
            .save(images.join(format!("{i}.png")))
            .unwrap();
    }
    bench.fails(
        &format!(
            "train tiny.yaml --out run {JEM} --set data.dataset=null --set data.dataset.folder.path=plain --set data.validation=0"
        ),
        2,
        &["the images have no labels"],
    );
    assert!(!bench.path("run").exists());
}
