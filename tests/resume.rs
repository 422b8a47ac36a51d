//! A run that was stopped and resumed is, tensor by tensor, the run that was not.

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, text};

/// Starts training and waits until the checkpoint of `step` is there.
fn train_until(bench: &Bench, line: &str, run: &str, step: u64) -> Child {
    let child = bench
        .command(line)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let manifest = bench.path(run).join(format!("checkpoints/step-{step}/manifest.json"));
    let clock = Instant::now();
    while !manifest.exists() {
        assert!(
            clock.elapsed() < Duration::from_secs(120),
            "no checkpoint of step {step}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn assert_same(bench: &Bench, a: &str, b: &str, step: u64) {
    let (a, b) = (bench.checkpoint(a, step), bench.checkpoint(b, step));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(
        a.len() >= 6,
        "weights, ema, optimizer, buffer, meters, record: {:?}",
        a.keys()
    );
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

#[test]
fn killed_and_resumed_equals_uninterrupted() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out whole");
    let mut child = train_until(&bench, "train tiny.yaml --out parts", "parts", 20);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.succeeds("train tiny.yaml --out parts --resume");
    assert_same(&bench, "whole", "parts", 40);
}

#[test]
fn stopped_short_and_extended_equals_whole() {
    let bench = Bench::new();
    // The cosine runs over train.steps, so the shorter run needs the longer one's learning rate.
    let flat = "--set optimizer.schedule=constant";
    bench.succeeds(&format!("train tiny.yaml --out whole {flat}"));
    bench.succeeds(&format!("train tiny.yaml --out parts {flat} --set train.steps=20"));
    bench.succeeds(&format!("train tiny.yaml --out parts {flat} --resume"));
    assert_same(&bench, "whole", "parts", 40);
}

#[test]
fn the_same_seed_repeats_and_another_does_not() {
    let bench = Bench::new();
    for (run, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        bench.succeeds(&format!(
            "train tiny.yaml --out {run} --set train.steps=10 --seed {seed}"
        ));
    }
    assert_same(&bench, "a", "b", 10);
    assert_ne!(
        bench.checkpoint("a", 10)["weights.safetensors"],
        bench.checkpoint("c", 10)["weights.safetensors"]
    );
}

#[test]
fn ctrl_c_saves_says_how_to_go_on_and_loses_nothing() {
    let bench = Bench::new();
    let long = "--set train.steps=3000 --set train.checkpoint_every=1000 --set optimizer.schedule=constant";
    let mut command = bench.command(&format!("train tiny.yaml --out parts {long}"));
    let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let clock = Instant::now();
    let metrics = bench.path("parts/metrics.jsonl");
    while std::fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 3 {
        assert!(clock.elapsed() < Duration::from_secs(120), "no metrics");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "-INT");
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("--resume"), "{}", text(&out.stderr));
    let saved: u64 = std::fs::read_dir(bench.path("parts/checkpoints"))
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse().ok())
        .max()
        .expect("a checkpoint of the moment");
    let total = saved + 15;
    bench.succeeds(&format!(
        "train tiny.yaml --out parts {long} --resume --set train.steps={total}"
    ));
    bench.succeeds(&format!("train tiny.yaml --out whole {long} --set train.steps={total}"));
    let differing = |run: &str| {
        let mut files = bench.checkpoint(run, total);
        files.remove("resolved.yaml");
        files
    };
    assert!(differing("parts") == differing("whole"));
}

#[test]
fn a_run_without_a_checkpoint_starts_again_from_the_first_step() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out whole");
    bench.succeeds("train tiny.yaml --out other");
    std::fs::remove_dir_all(bench.path("other/checkpoints")).unwrap();
    std::fs::create_dir(bench.path("other/checkpoints")).unwrap();
    let out = bench.ebm("train tiny.yaml --out other --resume");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("step 0"), "{}", text(&out.stderr));
    assert_same(&bench, "whole", "other", 40);
}

#[test]
fn a_finished_run_shows_its_results_again() {
    let bench = Bench::new();
    let first = bench.succeeds("train tiny.yaml --out run");
    let again = bench.succeeds("train tiny.yaml --out run --resume");
    assert!(first.contains("uniform noise"), "{first}");
    assert!(again.contains("uniform noise") && again.contains("anew"), "{again}");
}

#[test]
fn keys_that_alter_the_past_cannot_change() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=10");
    let line = "train tiny.yaml --out run --resume --set train.steps=12";
    bench.fails(
        &format!("{line} --set sampler.step_size=5"),
        2,
        &["sampler.kernel.langevin.step_size", "10", "5"],
    );
    bench.fails(
        &format!("{line} --set buffer.size=40 --seed 9"),
        2,
        &["seed", "buffer.size"],
    );
    bench.succeeds(&format!("{line} --set train.log_every=2 --set train.keep=1"));
    assert!(bench.path("run/checkpoints/step-12").exists() && !bench.path("run/checkpoints/step-10").exists());
}

#[test]
fn training_goes_on_when_its_reader_is_gone() {
    let bench = Bench::new();
    let mut child = bench
        .command("train tiny.yaml --out run")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(bench.path("run/results.json").exists());
}

#[test]
fn a_length_that_fits_no_interval_can_be_extended_too() {
    let bench = Bench::new();
    // 23 is a multiple of neither the log, the guard nor the checkpoint interval.
    let flat = "--set optimizer.schedule=constant --set guard.every=4";
    bench.succeeds(&format!("train tiny.yaml --out whole {flat}"));
    bench.succeeds(&format!("train tiny.yaml --out parts {flat} --set train.steps=23"));
    bench.succeeds(&format!("train tiny.yaml --out parts {flat} --resume"));
    assert_same(&bench, "whole", "parts", 40);
}

#[test]
fn other_data_are_refused() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=10");
    let record = bench.path("run/data.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let split = text.find("validation_sha256").expect("the split is recorded");
    let digit = text[split..].find(": \"").unwrap() + split + 3;
    let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
    std::fs::write(&record, format!("{}{other}{}", &text[..digit], &text[digit + 1..])).unwrap();
    bench.fails("train tiny.yaml --out run --resume", 2, &["data.json", "not those"]);
}

#[test]
fn other_questions_to_a_finished_run_are_answered_anew() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run");
    let again = bench.succeeds("train tiny.yaml --out run --resume --set evaluate.ood=[uniform,flipped]");
    assert!(again.contains("upside down"), "{again}");
}
