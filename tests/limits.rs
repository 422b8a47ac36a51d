//! A limit draws an even sample: each class by its share, the same images for the same seed.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::Bench;
use ebm::data::Images;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// Images whose one pixel is their number, sorted by classes of these sizes.
fn sorted(sizes: &[i64]) -> Images {
    let n: i64 = sizes.iter().sum();
    let number = Tensor::arange(n, (Kind::Int64, CPU));
    let pixels = Tensor::stack(&[&number.divide_scalar_mode(256, "floor"), &number.remainder(256)], 1);
    let labels: Vec<i64> = (0..)
        .zip(sizes)
        .flat_map(|(class, n)| vec![class; *n as usize])
        .collect();
    Images {
        pixels: pixels.to_kind(Kind::Uint8).view([n, 1, 1, 2]),
        labels: Some(Tensor::from_slice(&labels)),
        classes: (0..sizes.len()).map(|class| class.to_string()).collect(),
    }
}

/// The numbers of the images.
fn numbers(images: &Images) -> Vec<i64> {
    let pixels = images.pixels.to_kind(Kind::Int64).view([-1, 2]);
    Vec::try_from(pixels.select(1, 0) * 256 + pixels.select(1, 1)).unwrap()
}

fn per_class(images: &Images) -> Vec<i64> {
    let labels = Vec::<i64>::try_from(images.labels.as_ref().unwrap()).unwrap();
    let count = |class: i64| labels.iter().filter(|l| **l == class).count() as i64;
    (0..images.classes.len() as i64).map(count).collect()
}

#[test]
fn each_class_has_its_share() {
    for seed in 0..20 {
        let found = sorted(&[20; 10]).sampled(Some(50), seed).unwrap();
        assert_eq!(per_class(&found), [5; 10]);
        // Shares of 37 of 400 images, to within one image.
        let sizes = [200, 100, 60, 40];
        let found = per_class(&sorted(&sizes).sampled(Some(37), seed).unwrap());
        assert_eq!(found.iter().sum::<i64>(), 37);
        for (n, size) in found.iter().zip(sizes) {
            assert!((*n as f64 - 37.0 * size as f64 / 400.0).abs() < 1.0, "{found:?}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_images_and_fewer_are_among_more() {
    let images = sorted(&[30, 50, 20]);
    let drawn = |n, seed| numbers(&images.sampled(Some(n), seed).unwrap());
    assert_eq!(drawn(40, 1), drawn(40, 1));
    assert_ne!(drawn(40, 1), drawn(40, 2));
    let more: BTreeSet<i64> = drawn(40, 1).into_iter().collect();
    assert!(drawn(15, 1).iter().all(|image| more.contains(image)));
    assert!(drawn(40, 1).is_sorted(), "the order stays");
    for limit in [None, Some(100), Some(1000)] {
        assert_eq!(
            numbers(&images.sampled(limit, 1).unwrap()),
            (0..100).collect::<Vec<i64>>()
        );
    }
}

#[test]
fn images_without_labels_are_drawn_from_everywhere() {
    let images = Images::unlabelled(sorted(&[1000]).pixels);
    let draws: Vec<f64> = (0..50)
        .flat_map(|seed| numbers(&images.sampled(Some(20), seed).unwrap()))
        .map(|n| n as f64)
        .collect();
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    // Uniform over 0..1000: the standard deviation is 288.7; five standard errors of a thousand
    // draws.
    assert!((mean - 499.5).abs() < 5.0 * 288.7 / 1000f64.sqrt(), "{mean}");
    // An even stride over labels that alternate would meet one class alone.
    assert!(draws.iter().any(|n| n % 2.0 == 0.0) && draws.iter().any(|n| n % 2.0 == 1.0));
}

/// Dark images of class 0, then light ones of class 1, forty of each; and the same in the other
/// order.
fn bench() -> Bench {
    let bench = Bench::new();
    let level = |value: i64| Tensor::full([40, 1, 8, 8], value, (Kind::Uint8, CPU));
    let write = |name: &str, first: i64, second: i64, classes: [u8; 2]| {
        let both = Tensor::cat(&[level(first), level(second)], 0);
        ebm::report::npy(&both, &bench.path(&format!("{name}.npy"))).unwrap();
        let labels = classes.map(|class| [class; 40]).concat();
        let header = format!(
            "{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}",
            labels.len()
        );
        let header = format!("{header:<117}\n");
        let bytes = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &labels].concat();
        fs::write(bench.path(&format!("{name}_labels.npy")), bytes).unwrap();
    };
    write("sorted", 30, 220, [0, 1]);
    write("turned", 220, 30, [1, 0]);
    bench
}

fn stack(name: &str) -> String {
    format!(r#"{{"npy":{{"images":"{name}.npy","labels":"{name}_labels.npy"}}}}"#)
}

fn with_test(name: &str) -> String {
    let labels = format!("{name}_labels.npy");
    format!(
        r#"{{"npy":{{"images":"{name}.npy","labels":"{labels}","test_images":"{name}.npy","test_labels":"{labels}"}}}}"#
    )
}

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&fs::read(bench.path(name)).unwrap()).unwrap()
}

#[test]
fn a_limit_does_not_tell_a_set_from_itself_in_another_order() {
    let bench = bench();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    let (own, other) = (stack("sorted"), stack("turned"));
    for limit in ["", "--limit 20"] {
        bench.succeeds(&format!(
            "ood run --in {own} --against {other} --scores log_px --bootstrap 0 --json a.json {limit}"
        ));
        assert_eq!(json(&bench, "a.json")[0]["auroc"], 0.5, "{limit}");
    }
}

#[test]
fn tables_and_the_monitor_look_at_every_class() {
    let bench = bench();
    let out = bench.succeeds(&format!(
        "train tiny.yaml --out run --set model=tiny_classifier.yaml --set objective.p_y_given_x_weight=1 --set train.steps=4 --set data.dataset={} --set data.validation=40 --set evaluate.limit=20 --set evaluate.ood=[{{\"data\":{}}}] --set evaluate.every=2 --set evaluate.images=4",
        with_test("sorted"),
        stack("turned"),
    ));
    let results = json(&bench, "run/results.json");
    assert_eq!(results["ood"]["rows"][0]["auroc"], 0.5, "{out}");
    let rows = results["classification"]["confusion"].as_array().unwrap();
    let totals: Vec<i64> = rows
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).sum())
        .collect();
    assert_eq!(totals, [10, 10]);
    // Twenty of forty validation images, some 8 to 12 dark ones, against ten dark and ten light
    // ones.
    let metrics = fs::read_to_string(bench.path("run/metrics.jsonl")).unwrap();
    let looks: Vec<f64> = metrics
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["validation_auroc"].as_f64())
        .collect();
    assert_eq!(looks.len(), 2);
    assert!(looks.iter().all(|auroc| (0.35..=0.65).contains(auroc)), "{looks:?}");
}

#[test]
fn evaluate_draws_every_class() {
    let bench = bench();
    bench.succeeds(&format!(
        "train tiny.yaml --out run --set model=tiny_classifier.yaml --set objective.p_y_given_x_weight=1 --set train.steps=2 --set data.dataset={}",
        with_test("sorted"),
    ));
    bench.succeeds("evaluate run --parts classification --limit 8 --json e.json");
    let counts = &json(&bench, "e.json")["classification"]["confusion"];
    for class in 0..2 {
        let row = counts[class].as_array().unwrap();
        assert_eq!(row.iter().map(|n| n.as_i64().unwrap()).sum::<i64>(), 4, "{counts}");
    }
}

#[test]
fn a_run_whose_limit_took_the_first_images_says_so() {
    let bench = bench();
    let line = format!(
        "train tiny.yaml --out run --set train.steps=2 --set data.validation=5 --set data.limit=30 --set data.dataset={}",
        with_test("sorted")
    );
    bench.succeeds(&line);
    let longer = format!("{line} --set train.steps=3 --resume");
    bench.succeeds(&longer);
    let mut record = json(&bench, "run/data.json");
    assert!(record.as_object_mut().unwrap().remove("limit_sha256").is_some());
    fs::write(bench.path("run/data.json"), record.to_string()).unwrap();
    let again = format!("{line} --set train.steps=4 --resume");
    for line in [
        again.as_str(),
        "ood run --in validation",
        "threshold run --score log_px",
        "score run sorted.npy --scores typicality",
        "sample run -n 2 --steps 1 --from data",
        "evaluate run --parts quality --reference train -n 8 --steps 1",
    ] {
        bench.fails(line, 2, &["data.json", "data.limit took the first images"]);
    }
    // Test images are what they were.
    let out = bench.ebm("ood run --scores log_px --bootstrap 0");
    assert!(out.status.success());
    let told = String::from_utf8(out.stderr).unwrap();
    assert!(told.contains("data.limit takes other images"), "{told}");
    bench.succeeds("threshold run --score log_px --on test");
}
