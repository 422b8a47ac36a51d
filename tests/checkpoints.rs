//! Checkpoints: damage is found and gone back behind, a full disk or a kill costs no more than the last steps.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, text};
use ebm::files;
use serde_json::Value;

/// The learning rate must not depend on `train.steps`, or a shorter run is another run.
const FLAT: &str = "--set optimizer.schedule=constant";

/// Every file below a folder with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(done.success());
}

/// The steps of the checkpoints in a run, each of which must be whole.
fn whole_checkpoints(run: &Path) -> Vec<u64> {
    let mut steps = Vec::new();
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let Some(step) = name.strip_prefix("step-") else {
            continue;
        };
        let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        let files = manifest["files"].as_object().unwrap();
        assert!(files.len() >= 6, "{files:?}");
        for (file, entry) in files {
            let bytes = fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{name}/{file}: {e}"));
            assert_eq!(
                files::sha256(&bytes),
                entry["sha256"].as_str().unwrap(),
                "{name}/{file}"
            );
        }
        steps.push(step.parse().unwrap());
    }
    steps.sort_unstable();
    steps
}

fn assert_equal(bench: &Bench, a: &str, b: &str, step: u64) {
    let (a, b) = (bench.checkpoint(a, step), bench.checkpoint(b, step));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a.len() >= 6, "{:?}", a.keys());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

/// What a damage does to one file's bytes; `None` removes the file.
type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;

const CUT: Damage = |mut b| {
    b.truncate(b.len() / 2);
    Some(b)
};
const EMPTY: Damage = |_| Some(Vec::new());
const FLIP_LAST: Damage = |mut b| {
    *b.last_mut().unwrap() ^= 1;
    Some(b)
};
const FLIP_MIDDLE: Damage = |mut b| {
    let middle = b.len() / 2;
    b[middle] ^= 4;
    Some(b)
};
const FLIP_FIRST: Damage = |mut b| {
    b[0] ^= 0x80;
    Some(b)
};
const REMOVE: Damage = |_| None;
/// Still valid JSON, and no file's checksum is touched.
const OTHER_STEP: Damage = |b| Some(text(&b).replace("\"step\": 30", "\"step\": 20").into_bytes());

fn damage(folder: &Path, file: &str, how: Damage) {
    let path = folder.join(file);
    match how(fs::read(&path).unwrap()) {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

/// A run of 40 steps called `whole`, and its first 30 steps called `part`.
fn whole_and_part() -> Bench {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out whole {FLAT}"));
    bench.succeeds(&format!("train tiny.yaml --out part {FLAT} --set train.steps=30"));
    bench
}

#[test]
fn damage_is_told_of_and_the_checkpoint_before_is_used() {
    let bench = whole_and_part();
    let cases = [
        ("weights.safetensors", CUT),
        ("weights.safetensors", FLIP_LAST),
        ("weights.safetensors", FLIP_FIRST),
        ("weights.safetensors", REMOVE),
        ("ema.safetensors", EMPTY),
        ("optimizer.safetensors", FLIP_MIDDLE),
        ("buffer.safetensors", FLIP_MIDDLE),
        ("meters.safetensors", REMOVE),
        ("state.json", FLIP_MIDDLE),
        ("state.json", CUT),
        ("resolved.yaml", FLIP_LAST),
        ("manifest.json", CUT),
        ("manifest.json", FLIP_MIDDLE),
        ("manifest.json", FLIP_FIRST),
        ("manifest.json", REMOVE),
        ("manifest.json", OTHER_STEP),
    ];
    for (i, (file, how)) in cases.into_iter().enumerate() {
        let run = format!("case-{i}");
        copy(&bench.path("part"), &bench.path(&run));
        damage(&bench.path(&run).join("checkpoints/step-30"), file, how);
        let out = bench.ebm(&format!("train tiny.yaml --out {run} {FLAT} --resume"));
        let stderr = text(&out.stderr);
        assert!(out.status.success(), "{file}: {stderr}");
        for mention in ["passed over", "step-30", "going on from step 20"] {
            assert!(
                stderr.contains(mention),
                "case {i}, {file}: `{mention}` is not in\n{stderr}"
            );
        }
        assert_equal(&bench, "whole", &run, 40);
    }
}

#[test]
fn those_who_use_a_run_go_back_behind_damage_too() {
    let bench = whole_and_part();
    copy(&bench.path("part"), &bench.path("hurt"));
    damage(
        &bench.path("hurt/checkpoints/step-30"),
        "weights.safetensors",
        FLIP_LAST,
    );
    bench.succeeds("sample part -n 4 --steps 2 --checkpoint 20 --out a.npy");
    let out = bench.ebm("sample hurt -n 4 --steps 2 --out b.npy");
    assert!(
        out.status.success() && text(&out.stderr).contains("passed over"),
        "{}",
        text(&out.stderr)
    );
    assert!(fs::read(bench.path("a.npy")).unwrap() == fs::read(bench.path("b.npy")).unwrap());
    bench.fails(
        "sample hurt --checkpoint 30",
        2,
        &["step-30", "weights.safetensors", "checksum"],
    );
    bench.fails(
        "sample hurt --checkpoint 25",
        2,
        &["no checkpoint of step 25", "[10, 20, 30]"],
    );
    bench.fails("sample hurt --checkpoint best", 2, &["none is best"]);
}

#[test]
fn a_finished_run_whose_end_is_damaged_is_finished_again() {
    let bench = whole_and_part();
    damage(&bench.path("part/checkpoints/step-30"), "buffer.safetensors", CUT);
    let out = bench.ebm(&format!(
        "train tiny.yaml --out part {FLAT} --set train.steps=30 --resume"
    ));
    assert!(
        text(&out.stderr).contains("going on from step 20"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(whole_checkpoints(&bench.path("part")), [10, 20, 30]);
}

#[test]
fn damaged_checkpoints_do_not_crowd_out_good_ones() {
    let bench = whole_and_part();
    for step in [20, 30] {
        damage(
            &bench.path(&format!("part/checkpoints/step-{step}")),
            "state.json",
            REMOVE,
        );
    }
    // Two are kept; the two newest by number are damaged ones, and must not count.
    let line = format!("train tiny.yaml --out part {FLAT} --set train.keep=2 --set train.checkpoint_every=2");
    bench.succeeds(&format!("{line} --resume --set train.steps=14"));
    for step in [12, 14] {
        assert!(
            bench.path(&format!("part/checkpoints/step-{step}/state.json")).exists(),
            "step {step}"
        );
    }
    let out = bench.ebm(&format!("{line} --resume --set train.steps=16"));
    assert!(
        text(&out.stderr).contains("going on from step 14"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn when_all_are_damaged_nothing_is_touched() {
    let bench = whole_and_part();
    for step in [10, 20, 30] {
        damage(&bench.path(&format!("part/checkpoints/step-{step}")), "state.json", CUT);
    }
    let before = snapshot(&bench.path("part/checkpoints"));
    bench.fails(
        &format!("train tiny.yaml --out part {FLAT} --resume"),
        2,
        &["step-30", "state.json", "damaged checkpoint"],
    );
    bench.fails("sample part", 2, &["damaged checkpoint"]);
    assert!(snapshot(&bench.path("part/checkpoints")) == before);
}

#[test]
fn a_checkpoint_of_another_architecture_is_refused_and_nothing_overwritten() {
    let bench = whole_and_part();
    let model =
        r#"{"name":"other","input":[1,8,8],"layers":["flatten",{"linear":{"out":3}},"silu",{"linear":{"out":1}}]}"#;
    bench.succeeds(&format!(
        "train tiny.yaml --out other {FLAT} --set train.steps=30 --set model={model}"
    ));
    fs::remove_dir_all(bench.path("part/checkpoints/step-30")).unwrap();
    copy(
        &bench.path("other/checkpoints/step-30"),
        &bench.path("part/checkpoints/step-30"),
    );
    let before = snapshot(&bench.path("part"));
    for line in [
        format!("train tiny.yaml --out part {FLAT} --resume --set train.keep=9"),
        "sample part -n 1".into(),
        "export part x.safetensors".into(),
    ] {
        bench.fails(
            &line,
            2,
            &[
                "step 30",
                "missing (4): 0.bias, 0.weight_orig",
                "not of this network (2): 1.bias, 1.weight",
            ],
        );
    }
    assert!(snapshot(&bench.path("part")) == before, "something was overwritten");
    assert!(!bench.path("x.safetensors").exists());
    bench.fails(
        &format!("train tiny.yaml --out new {FLAT} --init-from other"),
        2,
        &["other", "1.weight"],
    );
    assert!(!bench.path("new").exists());
}

#[test]
fn a_full_disk_leaves_no_half_checkpoint_and_the_run_goes_on_afterwards() {
    let bench = Bench::new();
    let line = format!("train tiny.yaml {FLAT} --set buffer.size=256");
    bench.succeeds(&format!("{line} --out whole"));
    bench.succeeds(&format!("{line} --out part --set train.steps=20"));
    let before = snapshot(&bench.path("part/checkpoints"));
    // 256 chains of 8x8 f32 are 64 KiB; everything else is smaller than the limit of 40.
    let command = format!(
        "ulimit -f 40; exec {} {line} --out part --resume",
        env!("CARGO_BIN_EXE_ebm")
    );
    let out = Command::new("bash")
        .args(["-c", &command])
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{stderr}");
    for mention in ["buffer.safetensors", "File too large", "stopped at step 30", "--resume"] {
        assert!(stderr.contains(mention), "`{mention}` is not in\n{stderr}");
    }
    assert!(
        snapshot(&bench.path("part/checkpoints")) == before,
        "older checkpoints intact, none half-written"
    );
    bench.succeeds(&format!("{line} --out part --resume"));
    assert_equal(&bench, "whole", "part", 40);
}

#[test]
fn a_disk_that_is_full_from_the_start_leaves_no_run() {
    let bench = Bench::new();
    let command = format!(
        "ulimit -f 0; exec {} train tiny.yaml --out run",
        env!("CARGO_BIN_EXE_ebm")
    );
    let mut bash = Command::new("bash");
    let out = bash
        .args(["-c", &command])
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("File too large"), "{}", text(&out.stderr));
    let names: Vec<_> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "the files that were there: {names:?}");
}

#[test]
fn a_new_run_starts_from_the_averaged_weights_of_another() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out first");
    bench.succeeds("train tiny.yaml --out second --init-from first --set train.steps=2 --seed 8");
    let read = |path: &str| files::read(&bench.path(path)).unwrap();
    let (weights, averaged) = (
        read("first/checkpoints/step-40/weights.safetensors"),
        read("first/checkpoints/step-40/ema.safetensors"),
    );
    let start = read("second/checkpoints/step-0/weights.safetensors");
    assert_eq!(start.len(), weights.len());
    for (name, tensor) in start
        .iter()
        .filter(|(name, _)| !name.ends_with("_u") && !name.ends_with("_v"))
    {
        let expected = averaged.get(name).unwrap_or(&weights[name]);
        assert_eq!(tensor, expected, "{name}");
    }
    // The vectors of spectral norm are those of the averaged weight: they give its largest singular value.
    let matrix = averaged["0.weight_orig"].flatten(1, -1);
    let given = start["0.weight_u"]
        .dot(&matrix.mv(&start["0.weight_v"]))
        .double_value(&[]);
    let largest = matrix
        .matmul(&matrix.tr())
        .linalg_eigvalsh("L")
        .max()
        .sqrt()
        .double_value(&[]);
    assert!(
        (given / largest - 1.0).abs() < 1e-3,
        "{given} for {largest}: power iteration is close after 15 steps"
    );
    assert!(
        averaged["3.weight"] != weights["3.weight"],
        "the average is not the last weights"
    );
    let end = read("second/checkpoints/step-2/weights.safetensors");
    assert!(end["3.weight"] != start["3.weight"], "it was trained");
}

#[test]
fn the_last_ones_are_kept_and_the_best() {
    let bench = Bench::new();
    bench.succeeds(
        "train tiny.yaml --out run --set train.checkpoint_every=4 --set train.steps=38 --set evaluate.every=5",
    );
    let best: Value = serde_json::from_slice(&fs::read(bench.path("run/checkpoints/best.json")).unwrap()).unwrap();
    let best = best["step"].as_u64().unwrap();
    assert!(best > 0 && best.is_multiple_of(5), "{best}");
    let mut expected = vec![32, 36, 38, best];
    if best > 32 {
        // It was itself among the last three when 38 was written.
        expected.remove(0);
    }
    expected.sort_unstable();
    assert_eq!(whole_checkpoints(&bench.path("run")), expected);
    bench.succeeds("sample run -n 1 --steps 1 --checkpoint best");
    bench.succeeds("train tiny.yaml --out one --set train.keep=1");
    assert_eq!(whole_checkpoints(&bench.path("one")), [40]);
}

/// A linear congruential generator: moments of a kill that repeat.
struct Moments(u64);

impl Moments {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[test]
fn killed_at_twenty_random_moments() {
    let bench = Bench::new();
    let line = format!("train tiny.yaml {FLAT} --set train.checkpoint_every=2");
    let mut moments = Moments(20);
    let mut last = 0;
    for kill in 0..20 {
        let resume = if kill == 0 { "" } else { "--resume" };
        let log = bench.path("log");
        let mut command = bench.command(&format!("{line} --out parts --set train.steps=100000 {resume}"));
        let stderr = fs::File::create(&log).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let word = if kill == 0 {
            "step 5/".into()
        } else {
            format!("going on from step {last}\n")
        };
        let clock = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains(&word) {
            assert!(
                clock.elapsed() < Duration::from_secs(60),
                "`{word}` is not in {}",
                fs::read_to_string(&log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(moments.below(200_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!fs::read_to_string(&log).unwrap().contains("passed over"));
        let steps = whole_checkpoints(&bench.path("parts"));
        assert!(steps.last() >= Some(&last), "{steps:?} after {last}");
        last = steps.last().copied().unwrap();
    }
    assert!(last > 10, "twenty kills came too early to test anything: step {last}");
    let end = last + 5;
    bench.succeeds(&format!("{line} --out parts --resume --set train.steps={end}"));
    bench.succeeds(&format!("{line} --out whole --set train.steps={end}"));
    assert_equal(&bench, "whole", "parts", end);
    let hidden = fs::read_dir(bench.path("parts/checkpoints")).unwrap();
    let hidden: Vec<_> = hidden
        .map(|e| e.unwrap().file_name())
        .filter(|n| n.to_string_lossy().starts_with('.'))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}
