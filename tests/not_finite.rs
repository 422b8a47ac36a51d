//! A NaN or an infinity is an error that says where it is, and never a result.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Bench, text};
use ebm::config::yaml;
use ebm::experiment::Experiment;
use ebm::files::{self, Named};
use ebm::run::RunDir;
use ebm::run::checkpoint::{self, Contents};
use tch::Tensor;

/// An energy that is finite for dark images and infinite for bright ones, with a batch norm before
/// it.
const STEEP: &str = "
name: steep
input: [1, 8, 8]
layers:
  - batch_norm: {}
  - flatten
  - linear: {out: 1}
  - relu
  - linear: {out: 1}
";

/// A gradient that is infinite minus infinite everywhere.
const TORN: &str = "
name: torn
input: [1, 8, 8]
layers:
  - flatten
  - linear: {out: 2, bias: false}
  - linear: {out: 2, bias: false}
  - linear: {out: 1, bias: false}
";

/// The tensors that a fresh network of `model` has, with some replaced by `change`.
fn state(model: &str, change: impl Fn(&str, &Tensor) -> Option<Tensor>) -> Named {
    let config = yaml::typed(yaml::parse(model, "model".as_ref()).unwrap(), "model".as_ref()).unwrap();
    let rng = &mut ebm::rng::Stream::new(1, "init");
    let network = ebm::nn::Network::new(&config, tch::Device::Cpu, rng).unwrap();
    let tensors = network.state().into_iter();
    tensors
        .map(|(name, t)| {
            let changed = change(&name, &t).unwrap_or_else(|| t.copy());
            (name, changed)
        })
        .collect()
}

fn steep(name: &str, t: &Tensor) -> Option<Tensor> {
    let value = match name {
        "2.weight" | "4.weight" => 1e30,
        "2.bias" | "4.bias" => 0.0,
        _ => return None,
    };
    Some(t.full_like(value))
}

/// A run of the tensors, as `ebm import` makes it.
fn import(bench: &Bench, name: &str, model: &str, tensors: &Named) {
    fs::write(bench.path(&format!("{name}.yaml")), model).unwrap();
    fs::write(
        bench.path(&format!("{name}.safetensors")),
        files::encode(tensors).unwrap(),
    )
    .unwrap();
    bench.succeeds(&format!("import {name}.safetensors --model {name}.yaml --out {name}"));
}

/// Images of one level each, as a stack.
fn stack(bench: &Bench, name: &str, levels: &[u8]) {
    let header = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}, 8, 8), }}",
        levels.len()
    );
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").into_bytes());
    bytes.extend(levels.iter().flat_map(|level| [*level; 64]));
    fs::write(bench.path(name), bytes).unwrap();
}

#[test]
fn an_import_names_the_tensor_and_counts_its_bad_numbers() {
    let bench = Bench::new();
    for (bad, value) in [("2.weight", f64::NAN), ("0.running_var", f64::INFINITY)] {
        let tensors = state(STEEP, |name, t| {
            let changed = t.copy();
            let _ = (name == bad).then(|| changed.view(-1).narrow(0, 0, 1).fill_(value));
            Some(changed)
        });
        fs::write(bench.path("m.yaml"), STEEP).unwrap();
        fs::write(bench.path("bad.safetensors"), files::encode(&tensors).unwrap()).unwrap();
        let count = format!("{bad} (1 of {} numbers)", tensors[bad].numel());
        bench.fails(
            "import bad.safetensors --model m.yaml --out run",
            2,
            &["bad.safetensors", &count],
        );
        assert!(!bench.path("run").exists());
    }
}

#[test]
fn an_image_without_a_finite_score_is_a_failure_and_no_row() {
    let bench = Bench::new();
    import(&bench, "steep", STEEP, &state(STEEP, steep));
    stack(&bench, "images.npy", &[0, 255, 10]);
    let out = bench.ebm("score steep images.npy --scores grad_norm");
    let (table, said) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(1), "{said}");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(
        rows[0].starts_with("images.npy,0,") && rows[1].starts_with("images.npy,2,"),
        "{table}"
    );
    assert!(
        said.contains("error: images.npy, image 1: ") && said.contains("remedy: "),
        "{said}"
    );
    assert!(said.contains("2 images scored, 1 could not be"), "{said}");
}

#[test]
fn figures_of_scores_that_are_not_finite_are_refused() {
    let bench = Bench::new();
    import(&bench, "steep", STEEP, &state(STEEP, steep));
    stack(&bench, "dark.npy", &[0, 1, 2, 3]);
    stack(&bench, "mixed.npy", &[0, 255, 1, 2]);
    let mentions = ["log_px", "not finite"];
    bench.fails("threshold steep --score log_px --on mixed.npy", 1, &mentions);
    assert!(!bench.path("steep/threshold.json").exists());
    bench.fails(
        "ood steep --in dark.npy --against mixed.npy --json f.json",
        1,
        &mentions,
    );
    bench.fails(
        "ood steep --in mixed.npy --against dark.npy --json f.json",
        1,
        &mentions,
    );
    assert!(!bench.path("f.json").exists());
    bench.succeeds("threshold steep --score log_px --on dark.npy");
}

#[test]
fn chains_that_end_in_no_number_are_no_pictures() {
    let bench = Bench::new();
    // The gradient behind the first layer is infinite, with both signs, and their sum no number.
    let signs = Tensor::from_slice(&[1e30f32, -1e30]).view([1, 2]);
    let torn = state(TORN, |name, t| match name {
        "1.weight" => Some(t.ones_like()),
        "2.weight" => Some(Tensor::eye(2, (t.kind(), t.device())) * 1e30),
        _ => Some(signs.copy()),
    });
    import(&bench, "torn", TORN, &torn);
    bench.fails("sample torn -n 2 --steps 2 --out x.png", 1, &["chains", "not finite"]);
    assert!(!bench.path("x.png").exists());
    stack(&bench, "some.npy", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let line = "evaluate torn --parts quality --data some.npy --reference train -n 12 --steps 2 --json q.json";
    bench.fails(line, 1, &["chains", "not finite"]);
    // Samples that are given are looked at in the network's own features, which are not finite
    // either.
    let line = "evaluate torn --parts quality --data some.npy --reference train --samples some.npy --features steeper --json q.json";
    import(
        &bench,
        "steeper",
        STEEPER,
        &state(STEEPER, |_, t| Some(t.full_like(1e30))),
    );
    bench.fails(line, 1, &["not finite"]);
    assert!(!bench.path("q.json").exists());
}

/// Its features, what the last layer is given, are infinite.
const STEEPER: &str = "
name: steeper
input: [1, 8, 8]
layers:
  - flatten
  - linear: {out: 2}
  - linear: {out: 2}
  - linear: {out: 1}
";

/// Replaces the last checkpoint of `run` by one with these tensors.
fn rewrite(bench: &Bench, run: &str, change: impl Fn(&mut BTreeMap<String, Named>)) {
    let dir = RunDir::open(&bench.path(run)).unwrap();
    let (found, _) = checkpoint::latest::<serde_json::Value>(&dir, u64::MAX).unwrap();
    let mut contents: Contents<serde_json::Value> = found.unwrap().contents;
    change(&mut contents.tensors);
    let experiment: Experiment = dir.experiment().unwrap();
    checkpoint::write(&dir, &yaml::to_text(&experiment), &contents, 9).unwrap();
}

#[test]
fn a_run_with_bad_weights_averages_or_chains_is_not_used() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=10");
    stack(&bench, "images.npy", &[9]);
    let spoil = |tensors: &mut BTreeMap<String, Named>, file: &str, name: &str| {
        let t = tensors.get_mut(file).unwrap().get_mut(name).unwrap();
        let _ = t.view(-1).narrow(0, 0, 1).fill_(f64::NAN);
    };
    rewrite(&bench, "run", |t| spoil(t, "ema", "3.weight"));
    let averaged = ["step 10", "3.weight (1 of 64 numbers)"];
    for line in [
        "score run images.npy",
        "sample run -n 1 --steps 1",
        "export run w.safetensors",
    ] {
        bench.fails(line, 2, &averaged);
    }
    bench.succeeds("score run images.npy --weights raw");
    bench.fails(
        "train tiny.yaml --out run --resume --set train.steps=20",
        2,
        &["3.weight"],
    );
    rewrite(&bench, "run", |t| spoil(t, "buffer", "chains"));
    bench.fails(
        "sample run -n 1 --steps 1 --from buffer --weights raw",
        2,
        &["replay buffer", "chains (1 of"],
    );
    bench.succeeds("sample run -n 1 --steps 1 --weights raw");
    rewrite(&bench, "run", |t| spoil(t, "weights", "3.weight"));
    bench.fails("score run images.npy --weights raw", 2, &averaged);
}
