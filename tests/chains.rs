//! Chains that a command runs otherwise than training did: their start, their sampler, last steps
//! without noise, and what is said of them.

mod common;

use std::fs;

use common::{BY_CLASS, Bench};
use ebm::experiment::Experiment;
use ebm::sampling::KernelConfig;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const CONSTANT: &str = r#"{"gaussian":{"mean":0.5,"std":1.0e-9}}"#;

fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=4");
    bench
}

/// The bytes of the images that `ebm sample` writes.
fn sampled(bench: &Bench, options: &str) -> Vec<u8> {
    bench.succeeds(&format!("sample run -n 3 --out x.npy {options}"));
    fs::read(bench.path("x.npy")).unwrap()
}

#[test]
fn the_last_steps_are_taken_without_noise() {
    let bench = trained();
    let still = sampled(&bench, "--steps 5 --set sampler.noise_scale=0");
    let loud = "--set sampler.noise_scale=0.5";
    assert_ne!(sampled(&bench, &format!("--steps 5 {loud}")), still);
    assert_eq!(sampled(&bench, &format!("--steps 0 --final-steps 5 {loud}")), still);
    let plain = sampled(&bench, "--steps 5");
    assert_eq!(sampled(&bench, "--steps 5 --final-steps 0"), plain);
    assert_ne!(sampled(&bench, "--steps 5 --final-steps 2"), plain);
}

#[test]
fn the_last_steps_keep_the_last_step_size_of_a_schedule() {
    let bench = trained();
    let still = "--set sampler.noise_scale=0 --set sampler.clamp=null --set sampler.order=null";
    let slow = format!("{still} --steps 0 --final-steps 4 --set sampler.step_size=2.5");
    let falling = r#"--set sampler.step_schedule={"linear":{"end":0.25}}"#;
    // A chain of one step has no way to fall: it is of the first size, and what follows of the
    // last.
    let quick = format!("{still} {falling} --steps 0 --final-steps 4");
    assert_ne!(sampled(&bench, &quick), sampled(&bench, &slow));
    let KernelConfig::Langevin(mut kernel) = experiment(&bench).sampler.unwrap().kernel else {
        panic!("the tiny run's kernel is Langevin's")
    };
    kernel.step_schedule = ebm::sampling::ChainSchedule::Linear { end: 0.25 };
    let last = ebm::sampling::Langevin::new(&kernel, 10).still();
    for k in [0, 3, 100] {
        assert_eq!((last.step_size_at(k), last.noise_scale_at(k)), (2.5, 0.0));
    }
}

#[test]
fn fresh_chains_start_where_init_says() {
    let bench = trained();
    let images = sampled(&bench, &format!("--steps 0 --init {CONSTANT}"));
    assert!(images.ends_with(&[191; 3 * 64]), "(0.5 + 1) / 2 of 255 is 191.25");
    for (options, mentions) in [
        ("--set optimizer.lr=1", vec!["optimizer.lr", "sampler"]),
        (
            "--set sampler.step_size=-1",
            vec!["sampler.kernel.langevin.step_size", "-1"],
        ),
        (
            "--set sampler.kernel.langevin.stepsize=1",
            vec!["`stepsize`", "`step_size`"],
        ),
        (
            "--set sampler.temperature=1",
            vec!["sampler.kernel.langevin.temperature", "noise_scale"],
        ),
        ("--init nowhere", vec!["sampler.init", "`nowhere`"]),
        ("--init data --from buffer", vec!["--init", "--from"]),
    ] {
        bench.fails(&format!("sample run -n 3 --out y.npy {options}"), 2, &mentions);
        bench.fails(&format!("evaluate run --parts quality {options}"), 2, &mentions);
    }
    assert!(!bench.path("y.npy").exists());
}

fn experiment(bench: &Bench) -> Experiment {
    Experiment::load(&bench.path("run/resolved.yaml"), &[]).unwrap()
}

/// The figures of quality that an evaluation writes.
fn quality(bench: &Bench, options: &str) -> Value {
    bench.succeeds(&format!("evaluate run --parts quality --out here {options}"));
    let text = fs::read(bench.path("here/evaluation.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["quality"].take()
}

#[test]
fn quality_stands_beside_that_of_starts_and_of_training_images() {
    let bench = trained();
    let e = experiment(&bench);
    let data = ebm::data::open(&e.data, e.model.input(), Device::Cpu).unwrap();
    ebm::report::npy(&data.train.pixels, &bench.path("train.npy")).unwrap();
    let constant = Tensor::full([60, 1, 8, 8], 191, (Kind::Uint8, Device::Cpu));
    ebm::report::npy(&constant, &bench.path("constant.npy")).unwrap();
    let made = quality(&bench, &format!("-n 60 --steps 2 --final-steps 1 --init {CONSTANT}"));
    let near = |found: &Value, expected: &Value| {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} is not {expected}");
    };
    let starts = quality(&bench, "--samples constant.npy");
    let train = quality(&bench, "--samples train.npy");
    near(
        &made["start_of_chains"]["frechet_distance"],
        &starts["frechet_distance"],
    );
    near(&made["training_images"]["frechet_distance"], &train["frechet_distance"]);
    assert_eq!(
        (&made["start_of_chains"]["images"], &made["training_images"]["images"]),
        (&60.into(), &50.into())
    );
    assert_eq!(
        made["samples_from"],
        "chains of 2 steps and 1 without noise from noise, every pixel N(0.5, 0.000000001^2)"
    );
    assert!(
        starts.get("start_of_chains").is_none(),
        "images of a file have no chains"
    );
    let other = quality(&bench, "-n 20 --steps 1 --reference train");
    assert!(
        other.get("training_images").is_none() && other["test_images"]["images"] == 12,
        "{other}"
    );
}

#[test]
fn a_strip_is_spaced_by_the_logarithm_of_the_step() {
    let bench = trained();
    bench.succeeds("sample run -n 2 --steps 100 --trace --out x.png");
    bench.succeeds("sample run -n 2 --steps 1 --out one.png");
    let strip = image::open(bench.path("x.strip.png")).unwrap().to_luma8();
    // Twelve columns and two chains of 96 pixels, with the steps beneath.
    assert_eq!(strip.dimensions(), (12 * 100 + 4, 2 * 100 + 4 + 18));
    let one = image::open(bench.path("one.png")).unwrap().to_luma8();
    let image = |picture: &image::GrayImage, x| image::imageops::crop_imm(picture, x, 4, 96, 96).to_image();
    assert_eq!(
        image(&strip, 104),
        image(&one, 4),
        "the second column is the first step"
    );
}

#[test]
fn a_grid_by_class_names_the_classes() {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out run {BY_CLASS} --set train.steps=1"));
    bench.succeeds("sample run --classes all -n 4 --steps 1 --out x.png");
    let words = |row: u32, picture: &image::GrayImage| {
        image::imageops::crop_imm(picture, 4, 100 + row * 118, 96, 18).to_image()
    };
    let grid = image::open(bench.path("x.png")).unwrap().to_luma8();
    assert_eq!(grid.dimensions(), (4 * 100 + 4, 2 * 118 + 4));
    let last = image::open(bench.path("run/samples/final.png")).unwrap().to_luma8();
    assert_eq!(last.dimensions(), (10 * 100 + 4, 10 * 118 + 4));
    assert!(words(0, &grid).pixels().any(|p| p[0] < 128));
    assert_ne!(words(0, &grid), words(1, &grid), "stroke and disc");
    assert_eq!(words(0, &grid), words(0, &last));
    assert_eq!(words(1, &grid), words(9, &last));
}
