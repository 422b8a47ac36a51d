//! Noise that is the model of another run, through the real binary: it is drawn from the same on
//! resume, and what cannot be noise is refused.

mod common;

use std::fs;

use common::{Bench, text};

const EXPERIMENT: &str = "
seed: 3
threads: 1
device: cpu
data: {dataset: {toy: {density: eight-gaussians, count: 500}}}
model: {name: points, input: [2], layers: [{linear: {out: 16}}, silu, {linear: {out: 1}}]}
objective: {nce: {}}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-2, ema: 0.9}
train: {steps: 12, batch_size: 16, log_every: 4, checkpoint_every: 6, keep: 3}
report: {every: 0, images: 4, tensorboard: false}
";

const MIXTURE: &str = r#"--set model={"gaussian-mixture":{"input":[2],"components":3}}"#;
const AGAINST: &str = r#"--set objective={"nce":{"noise":{"run":{"path":"base"}}}}"#;

/// A bench with a run `base` of a mixture, of two checkpoints.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("points.yaml"), EXPERIMENT).unwrap();
    bench.succeeds(&format!("train points.yaml --out base {MIXTURE}"));
    bench
}

fn tensors(bench: &Bench, run: &str) -> Vec<(String, Vec<u8>)> {
    let all = bench.checkpoint(run, 12).into_iter();
    all.filter(|(name, _)| name.ends_with(".safetensors")).collect()
}

#[test]
fn a_run_against_another_resumes_bit_for_bit_wherever_that_lies() {
    let bench = bench();
    bench.succeeds(&format!("train points.yaml --out whole {AGAINST}"));
    bench.succeeds(&format!("train points.yaml --out parts {AGAINST} --set train.steps=6"));
    // The base goes on, and its folder moves: its checkpoint of step 12 is there as it was.
    bench.succeeds(&format!(
        "train points.yaml --out base --resume {MIXTURE} --set train.steps=18"
    ));
    fs::create_dir(bench.path("elsewhere")).unwrap();
    fs::rename(bench.path("base"), bench.path("elsewhere/base")).unwrap();
    let moved = r#"--set objective={"nce":{"noise":{"run":{"path":"elsewhere/base"}}}}"#;
    bench.succeeds(&format!("train points.yaml --out parts {moved} --resume"));
    assert_eq!(tensors(&bench, "whole"), tensors(&bench, "parts"));
    // Another checkpoint of the base is other noise.
    let early = r#"--set objective={"nce":{"noise":{"run":{"path":"elsewhere/base","step":6}}}}"#;
    bench.succeeds(&format!("train points.yaml --out early {early}"));
    assert_ne!(tensors(&bench, "whole"), tensors(&bench, "early"));
    bench.fails(
        &format!("train points.yaml --out whole {early} --resume --set train.steps=14"),
        2,
        &["objective.nce.noise.run.step", "cannot change when a run is resumed"],
    );
}

#[test]
fn the_path_is_looked_for_beside_the_file() {
    let bench = bench();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    let mut command = bench.command(&format!("train ../points.yaml --out run {AGAINST}"));
    let out = command.current_dir(bench.path("elsewhere")).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("noise: the model of "),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn a_base_that_is_gone_or_another_is_refused_on_resume() {
    let bench = bench();
    bench.succeeds(&format!("train points.yaml --out run {AGAINST} --set train.steps=6"));
    fs::rename(bench.path("base"), bench.path("away")).unwrap();
    let resume = format!("train points.yaml --out run {AGAINST} --resume");
    bench.fails(&resume, 2, &["objective.nce.noise.run.path", "base: no such run"]);
    bench.succeeds(&format!("train points.yaml --out base {MIXTURE} --seed 4"));
    bench.fails(
        &resume,
        2,
        &[
            "objective.nce.noise.run.path",
            "is not the noise that run was started with",
            "the weights of step 12",
        ],
    );
    assert!(bench.checkpoint("run", 6).contains_key("weights.safetensors"));
    fs::remove_dir_all(bench.path("base")).unwrap();
    fs::rename(bench.path("away"), bench.path("base")).unwrap();
    bench.succeeds(&resume);
}

#[test]
fn what_cannot_be_a_base_is_refused_before_work_begins() {
    let bench = bench();
    bench.succeeds("train points.yaml --out network --set train.steps=2");
    fs::create_dir(bench.path("empty")).unwrap();
    let cold = r#"--set sampler={"kernel":{"langevin":{"step_size":0.1,"noise_scale":0.1}},"n_steps":2}"#;
    bench.succeeds(&format!(
        "train points.yaml --out cold {MIXTURE} {cold} --set train.steps=2"
    ));
    let against = |path: &str, more: &str, mentions: &[&str]| {
        let noise = format!(r#"--set objective={{"nce":{{"noise":{{"run":{{"path":"{path}"{more}}}}}}}}}"#);
        let stderr = bench.fails(&format!("train points.yaml --out run {noise}"), 2, mentions);
        assert!(stderr.contains("remedy: ") && !stderr.contains("data: "), "{stderr}");
        assert!(!bench.path("run").exists());
        bench.fails(&format!("check points.yaml {noise}"), 2, mentions);
    };
    let key = "objective.nce.noise.run.path";
    against("nowhere", "", &[key, "nowhere: no such run"]);
    against("empty", "", &[key, "empty: not the folder of a run"]);
    against("network", "", &[key, "model `points`", "gaussian-mixture"]);
    against("cold", "", &[key, "temperature 0.05"]);
    against("base", r#","step":7"#, &["base", "7"]);
    let stderr = bench.fails(
        &format!("train tiny.yaml --out run --set sampler=null {AGAINST}"),
        2,
        &[key, "a base density of another shape", "[2]", "[1, 8, 8]"],
    );
    assert!(!stderr.contains("data: "), "{stderr}");
}
