//! A process writes only into the run that it has claimed: not into another at its path, and
//! through no link.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, text};

const LONG: &str = "--set train.steps=1000000 --set optimizer.schedule=constant --set train.log_every=2";

fn start(bench: &Bench, line: &str) -> Child {
    let mut command = bench.command(line);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(path: &Path) {
    let clock = Instant::now();
    while !path.exists() {
        assert!(clock.elapsed() < Duration::from_secs(120), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(snapshot(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}

/// The process ends by itself, with one message.
fn ends_with_one_message(child: Child) {
    let out = child.wait_with_output().unwrap();
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.matches("no longer here").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    assert!(!stderr.contains("go on with:"), "that run is not there: {stderr}");
}

#[test]
fn a_run_that_was_moved_away_leaves_the_next_one_at_its_path_alone() {
    let bench = Bench::new();
    let first = start(
        &bench,
        &format!("train tiny.yaml --out run {LONG} --set train.checkpoint_every=3"),
    );
    wait_for(&bench.path("run/checkpoints/step-3/manifest.json"));
    // At once, so that the first process meets nothing or all of the second run.
    bench.succeeds("train tiny.yaml --out second --seed 9 --set train.steps=12");
    fs::rename(bench.path("run"), bench.path("moved")).unwrap();
    fs::rename(bench.path("second"), bench.path("run")).unwrap();
    let before = snapshot(&bench.path("run"));
    ends_with_one_message(first);
    assert!(
        snapshot(&bench.path("run")) == before,
        "the first process wrote into the second run"
    );
    bench.succeeds("sample moved -n 1 --steps 1");
}

#[test]
fn a_run_that_was_removed_is_not_made_again() {
    let bench = Bench::new();
    let child = start(
        &bench,
        &format!("train tiny.yaml --out run {LONG} --set train.checkpoint_every=3"),
    );
    wait_for(&bench.path("run/checkpoints/step-3/manifest.json"));
    fs::rename(bench.path("run"), bench.path("gone")).unwrap();
    fs::remove_dir_all(bench.path("gone")).unwrap();
    ends_with_one_message(child);
    assert!(!bench.path("run").exists());
}

#[test]
fn no_link_in_a_run_leads_out_of_it() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=10 --set evaluate.every=5");
    fs::create_dir(bench.path("foreign")).unwrap();
    fs::write(bench.path("foreign/file"), "theirs").unwrap();
    let foreign = snapshot(&bench.path("foreign"));
    let line = "train tiny.yaml --out copy --resume --set train.steps=20 --set evaluate.every=5 --set report.every=5";
    let names = [
        "lock",
        "resolved.yaml",
        "metrics.jsonl",
        "environment.json",
        "curves.png",
        "results.json",
        "checkpoints",
        "checkpoints/best.json",
        "samples",
        "samples/final.png",
        "samples/step-000015.png",
    ];
    for name in names {
        let status = Command::new("cp")
            .args(["-r", "run", "copy"])
            .current_dir(bench.dir.path())
            .status();
        assert!(status.unwrap().success());
        let (link, is_folder) = (
            bench.path("copy").join(name),
            ["checkpoints", "samples"].contains(&name),
        );
        match is_folder {
            true => fs::rename(&link, bench.path("aside")).unwrap(),
            false => drop(fs::remove_file(&link)),
        }
        let target = if is_folder { "foreign" } else { "foreign/file" };
        // What is read before it is written keeps its contents.
        if name == "resolved.yaml" {
            fs::copy(bench.path("run/resolved.yaml"), bench.path("foreign/file")).unwrap();
        }
        let given = snapshot(&bench.path("foreign"));
        symlink(bench.path(target), &link).unwrap();
        let stderr = bench.fails(line, 2, &["is a link"]);
        assert!(stderr.contains(name), "{name}: {stderr}");
        assert!(snapshot(&bench.path("foreign")) == given, "{name}");
        fs::write(bench.path("foreign/file"), "theirs").unwrap();
        fs::remove_dir_all(bench.path("copy")).unwrap();
        let _ = fs::remove_dir_all(bench.path("aside"));
    }
    // Names that were once those of temporary files.
    let status = Command::new("cp")
        .args(["-r", "run", "copy"])
        .current_dir(bench.dir.path())
        .status();
    assert!(status.unwrap().success());
    for name in [
        "resolved.yaml.tmp",
        "environment.json.tmp",
        "checkpoints/best.json.tmp",
        "checkpoints/.step-20",
    ] {
        symlink(bench.path("foreign/file"), bench.path("copy").join(name)).unwrap();
    }
    bench.succeeds(line);
    assert!(snapshot(&bench.path("foreign")) == foreign);
}

#[test]
fn a_pipe_in_the_place_of_the_lock_is_refused_at_once() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    fs::remove_file(bench.path("run/lock")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(bench.path("run/lock"))
            .status()
            .unwrap()
            .success()
    );
    let line = "train tiny.yaml --out run --resume --set train.steps=4";
    let stderr = text(&bench.ebm(line).stderr);
    assert!(stderr.contains("lock"), "{stderr}");
    assert!(!bench.path("run/checkpoints/step-4").exists());
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_terminal_that_closes_saves_the_run_even_if_it_says_so_twice() {
    let bench = Bench::new();
    let child = start(
        &bench,
        &format!("train tiny.yaml --out run {LONG} --set train.checkpoint_every=1000000"),
    );
    wait_for(&bench.path("run/metrics.jsonl"));
    while fs::read(bench.path("run/metrics.jsonl")).unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "-HUP");
    signal(&child, "-HUP");
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", text(&out.stderr));
    let checkpoints = fs::read_dir(bench.path("run/checkpoints")).unwrap().count();
    assert_eq!(checkpoints, 1, "the checkpoint of the moment");
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let bench = Bench::new();
    let command = format!(
        "trap '' HUP; exec {} train tiny.yaml --out run {LONG}",
        env!("CARGO_BIN_EXE_ebm")
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &command]).current_dir(bench.dir.path());
    let mut child = bash.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&bench.path("run/checkpoints/step-10/manifest.json"));
    signal(&child, "-HUP");
    wait_for(&bench.path("run/checkpoints/step-50/manifest.json"));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    child.kill().unwrap();
    child.wait().unwrap();
}
