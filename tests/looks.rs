//! Looks of the quality monitor: none is lost to a kill, none is made twice, and the best
//! checkpoint is never given up.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Bench;
use serde_json::{Value, json};

/// Looks at every fifth step, checkpoints at every tenth: every second look falls on a checkpoint.
const LOOKS: &str = "train tiny.yaml --set optimizer.schedule=constant --set evaluate.every=5 --set evaluate.images=16 --set train.keep=1";

fn lines(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn write_lines(run: &Path, lines: &[Value]) {
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    fs::write(run.join("metrics.jsonl"), text).unwrap();
}

fn is_look(line: &Value) -> bool {
    line.get("auroc_uniform").is_some()
}

/// Every look, in order, without the time at which it was made.
fn looks(run: &Path) -> Vec<Value> {
    let looks = lines(run).into_iter().filter(is_look);
    looks
        .map(|mut l| {
            l["time"] = 0.into();
            l
        })
        .collect()
}

fn best(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("checkpoints/best.json")).unwrap()).unwrap()
}

/// The best of some looks, as best.json names it.
fn best_of(looks: &[Value]) -> Value {
    let mut best: Option<&Value> = None;
    for look in looks {
        let lower = best.is_none_or(|b| look["frechet_fresh"].as_f64() < b["frechet_fresh"].as_f64());
        best = if lower { Some(look) } else { best };
    }
    let best = best.expect("a look");
    json!({"step": best["step"], "metric": "-frechet_fresh", "value": -best["frechet_fresh"].as_f64().unwrap()})
}

fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A run of 40 steps called `whole`, its first 20 called `part`, and its first 15 called `before`.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.succeeds(&format!("{LOOKS} --out whole"));
    bench.succeeds(&format!("{LOOKS} --out part --set train.steps=20"));
    bench.succeeds(&format!("{LOOKS} --out before --set train.steps=15"));
    bench
}

fn copy(bench: &Bench, from: &str, to: &str) {
    let done = Command::new("cp")
        .args(["-r", from, to])
        .current_dir(bench.dir.path())
        .status();
    assert!(done.unwrap().success());
}

/// Goes on with a run, which must end as the whole one did.
fn ends_as_the_whole(bench: &Bench, run: &str) {
    bench.succeeds(&format!("{LOOKS} --out {run} --resume"));
    let (whole, own) = (bench.path("whole"), bench.path(run));
    assert_eq!(looks(&own), looks(&whole), "{run}");
    assert_eq!(best(&own), best(&whole), "{run}");
    assert_eq!(best(&own), best_of(&looks(&whole)), "{run}");
    assert_eq!(checkpoints(&own), checkpoints(&whole), "{run}");
}

/// The record of the best as it was before the look at step 20, and the checkpoint that it names.
fn go_back_to_the_best_before(bench: &Bench, run: &str) {
    let before = best(&bench.path("before"));
    assert_eq!(before, best_of(&looks(&bench.path("before"))));
    let to = bench.path(run).join("checkpoints");
    fs::write(to.join("best.json"), before.to_string()).unwrap();
    let folder = format!("step-{}", before["step"]);
    if !to.join(&folder).exists() {
        copy(
            bench,
            &format!("before/checkpoints/{folder}"),
            &format!("{run}/checkpoints/{folder}"),
        );
    }
}

#[test]
fn a_kill_between_any_two_writes_of_a_step_loses_no_look_and_repeats_none() {
    let bench = bench();
    let part = lines(&bench.path("part"));
    let at = part
        .iter()
        .position(|l| is_look(l) && l["step"] == 20)
        .expect("a look at step 20");
    // Between the checkpoint and the look: nothing but the checkpoint is there.
    copy(&bench, "part", "no-look");
    write_lines(&bench.path("no-look"), &part[..at]);
    go_back_to_the_best_before(&bench, "no-look");
    ends_as_the_whole(&bench, "no-look");
    // Before the event of the checkpoint.
    copy(&bench, "part", "no-event");
    let event = part
        .iter()
        .position(|l| l["event"] == "checkpoint" && l["step"] == 20)
        .unwrap();
    write_lines(&bench.path("no-event"), &part[..event]);
    go_back_to_the_best_before(&bench, "no-event");
    ends_as_the_whole(&bench, "no-event");
    // Within the line of the look.
    copy(&bench, "part", "torn");
    write_lines(&bench.path("torn"), &part[..at]);
    let mut text = fs::read_to_string(bench.path("torn/metrics.jsonl")).unwrap();
    text += &part[at].to_string()[..40];
    fs::write(bench.path("torn/metrics.jsonl"), text).unwrap();
    go_back_to_the_best_before(&bench, "torn");
    ends_as_the_whole(&bench, "torn");
    // Between the look and best.json.
    copy(&bench, "part", "no-best");
    go_back_to_the_best_before(&bench, "no-best");
    ends_as_the_whole(&bench, "no-best");
    // After all of it.
    copy(&bench, "part", "done");
    ends_as_the_whole(&bench, "done");
}

#[test]
fn a_damaged_record_of_the_best_is_made_anew() {
    let bench = bench();
    let given = fs::read_to_string(bench.path("part/checkpoints/best.json")).unwrap();
    let right = best(&bench.path("part"));
    let (step, value) = (right["step"].as_u64().unwrap(), right["value"].as_f64().unwrap());
    let cases = [
        String::new(),
        given[..given.len() / 2].to_owned(),
        given.replace("step", "stop"),
        json!({"step": step + 1, "metric": right["metric"], "value": value}).to_string(),
        json!({"step": step, "metric": right["metric"], "value": value + 1.0}).to_string(),
        json!({"step": step, "metric": "accuracy", "value": value}).to_string(),
    ];
    for (i, damaged) in cases.iter().enumerate() {
        let run = format!("case-{i}");
        copy(&bench, "part", &run);
        let path = bench.path(&run).join("checkpoints/best.json");
        fs::write(&path, damaged).unwrap();
        if i < 4 {
            bench.fails(
                &format!("sample {run} -n 1 --steps 1 --checkpoint best"),
                2,
                &["best.json", "damaged"],
            );
        }
        ends_as_the_whole(&bench, &run);
    }
    copy(&bench, "part", "absent");
    fs::remove_file(bench.path("absent/checkpoints/best.json")).unwrap();
    ends_as_the_whole(&bench, "absent");
}

#[test]
fn what_may_be_the_best_is_not_pruned_for_want_of_a_record() {
    let bench = bench();
    fs::write(bench.path("part/checkpoints/best.json"), "{").unwrap();
    fs::remove_file(bench.path("part/metrics.jsonl")).unwrap();
    let before = checkpoints(&bench.path("part"));
    bench.fails(&format!("{LOOKS} --out part --resume"), 2, &["best.json", "damaged"]);
    assert_eq!(checkpoints(&bench.path("part")), before);
}

#[test]
fn runs_that_are_killed_again_and_again_have_each_look_once() {
    let bench = Bench::new();
    let line = LOOKS.replace("evaluate.every=5", "evaluate.every=2") + " --set train.checkpoint_every=2";
    let mut reached = 0;
    for kill in 0..12u64 {
        let resume = if kill == 0 { "" } else { "--resume" };
        let mut command = bench.command(&format!("{line} --out parts --set train.steps=100000 {resume}"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // As soon as the next checkpoint has its name: its look is still to come.
        let next = reached + 2;
        let folder = bench.path(&format!("parts/checkpoints/step-{next}"));
        let clock = Instant::now();
        while !folder.exists() {
            assert!(clock.elapsed() < Duration::from_secs(120), "no step {next}");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let names = checkpoints(&bench.path("parts"));
        let steps = names
            .iter()
            .filter_map(|n| n.strip_prefix("step-")?.parse::<u64>().ok());
        reached = steps.max().unwrap();
    }
    let end = reached + 4;
    bench.succeeds(&format!("{line} --out parts --resume --set train.steps={end}"));
    bench.succeeds(&format!("{line} --out whole --set train.steps={end}"));
    assert_eq!(looks(&bench.path("parts")), looks(&bench.path("whole")));
    assert_eq!(looks(&bench.path("whole")).len() as u64, end / 2);
    assert_eq!(best(&bench.path("parts")), best(&bench.path("whole")));
    assert_eq!(checkpoints(&bench.path("parts")), checkpoints(&bench.path("whole")));
}

#[test]
fn a_grid_that_a_kill_cut_off_is_drawn_on_resume() {
    let bench = Bench::new();
    let line = "train tiny.yaml --set optimizer.schedule=constant --set report.every=10";
    bench.succeeds(&format!("{line} --out whole"));
    bench.succeeds(&format!("{line} --out part --set train.steps=20"));
    assert!(
        !bench.path("part/samples/step-000020.png").exists(),
        "the last step has another grid"
    );
    bench.succeeds(&format!("{line} --out part --resume"));
    let grid = |run: &str| fs::read(bench.path(run).join("samples/step-000020.png")).unwrap();
    assert!(grid("part") == grid("whole"));
}
