//! What a run takes: `ebm check` that looks before it starts, minutes in place of steps, and time
//! in its messages.

mod common;

use std::fs;

use common::{Bench, text};
use ebm::experiment::Experiment;

const MINUTES: &str =
    "--set train.steps=null --set train.minutes=0.03 --set train.checkpoint_every=100000 --set report.sample_steps=1";

#[test]
fn minutes_become_the_steps_of_the_run() {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out run {MINUTES}"));
    let resolved = Experiment::load(&bench.path("run/resolved.yaml"), &[]).unwrap();
    let steps = resolved.train.steps;
    assert!(steps > 0 && resolved.train.minutes.is_none(), "{:?}", resolved.train);
    // The learning rate follows a cosine over the run, so that this says that it was fitted, and
    // that timing drew nothing.
    bench.succeeds(&format!(
        "train tiny.yaml --out counted --set train.checkpoint_every=100000 --set report.sample_steps=1 --set train.steps={steps}"
    ));
    let (a, b) = (bench.checkpoint("run", steps), bench.checkpoint("counted", steps));
    for name in [
        "weights.safetensors",
        "ema.safetensors",
        "buffer.safetensors",
        "state.json",
    ] {
        assert!(a[name] == b[name], "{name}");
    }
    let again = bench.succeeds(&format!("train tiny.yaml --out run --resume {MINUTES}"));
    assert!(again.contains(&format!("finished at step {steps}")), "{again}");
    bench.fails(
        &format!("train tiny.yaml --out run --resume {MINUTES} --set train.minutes=5"),
        2,
        &["train.minutes", "0.03", "5", "train.steps"],
    );
    bench.fails(
        &format!("train tiny.yaml --out counted --resume {MINUTES}"),
        2,
        &["train.minutes", "counts its steps"],
    );
}

#[test]
fn either_steps_or_minutes_say_how_long_a_run_is() {
    let bench = Bench::new();
    for (set, mentions) in [
        ("--set train.minutes=1", vec!["train.minutes", "40 steps"]),
        ("--set train.steps=null", vec!["train.steps", "train.minutes"]),
        (
            "--set train.steps=null --set train.minutes=0",
            vec!["train.minutes", "0"],
        ),
        (
            "--set train.steps=null --set train.minutes=1.0e-9",
            vec!["train.minutes", "too few"],
        ),
    ] {
        bench.fails(&format!("train tiny.yaml --out run {set}"), 2, &mentions);
    }
    assert!(!bench.path("run").exists());
}

#[test]
fn check_says_what_a_run_takes_and_leaves_nothing() {
    let bench = Bench::new();
    let before = fs::read_dir(bench.dir.path()).unwrap().count();
    let said = bench.succeeds("check tiny.yaml");
    for words in [
        "50 training, 10 validation",
        "a step takes",
        "the run: 40 steps take",
        "memory: ",
        "GiB",
    ] {
        assert!(said.contains(words), "`{words}` is not in\n{said}");
    }
    assert_eq!(fs::read_dir(bench.dir.path()).unwrap().count(), before);
    let file = bench.succeeds("check tiny.yaml --file-only");
    assert!(!file.contains("a step takes") && file.ends_with("accepted\n"), "{file}");
}

#[test]
fn check_finds_a_set_of_the_tables_that_is_missing() {
    let bench = Bench::new();
    let set = r#"--set evaluate.ood=[{"data":{"folder":{"path":"nowhere"}}}]"#;
    bench.fails(&format!("check tiny.yaml {set}"), 2, &["nowhere"]);
    bench.succeeds(&format!("check tiny.yaml {set} --file-only"));
    bench.fails(
        "check tiny.yaml --set data.dataset=mnist --set model.input=[1,28,28]",
        2,
        &["model"],
    );
}

#[test]
fn lines_of_progress_say_how_long_it_took_and_will_take() {
    let bench = Bench::new();
    let out = bench.ebm("train tiny.yaml --out run");
    let said = text(&out.stderr);
    let lines: Vec<&str> = said.lines().filter(|l| l.starts_with("step ")).collect();
    assert_eq!(lines.len(), 8, "{said}");
    assert!(
        lines.iter().all(|l| l.contains(" s, ") && l.contains(" s to go")),
        "{said}"
    );
    assert!(
        lines[7].starts_with("step 40/40") && lines[7].contains(", 0.0 s to go"),
        "{said}"
    );
}
