//! A run and its checkpoints agree, or are refused: configuration, step, files and numbers.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Bench, text};
use ebm::files::sha256;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FLAT: &str = "--set optimizer.schedule=constant";

/// A manifest as the program writes it.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    step: u64,
    versions: BTreeMap<String, String>,
    files: BTreeMap<String, Entry>,
    seal: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Changes the manifest of a checkpoint and seals it again.
fn reseal(folder: &Path, change: impl Fn(&mut Manifest)) {
    let path = folder.join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    manifest.seal.clear();
    manifest.seal = sha256(serde_json::to_string_pretty(&manifest).unwrap().as_bytes());
    fs::write(path, serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
}

/// Writes a file of a checkpoint, with its entry in the manifest.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    reseal(folder, |manifest| {
        let entry = Entry {
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        };
        manifest.files.insert(name.into(), entry);
    });
}

fn copy(bench: &Bench, from: &str, to: &str) {
    let done = Command::new("cp")
        .args(["-r", from, to])
        .current_dir(bench.dir.path())
        .status();
    assert!(done.unwrap().success());
}

/// A run of 20 steps with the checkpoints 10 and 20.
fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out run {FLAT} --set train.steps=20"));
    bench
}

#[test]
fn a_resolved_file_that_contradicts_the_checkpoint_is_refused() {
    let bench = trained();
    let path = bench.path("run/resolved.yaml");
    let given = fs::read_to_string(&path).unwrap();
    assert!(given.contains("silu"));
    fs::write(&path, given.replace("silu", "relu")).unwrap();
    let mentions = ["resolved.yaml", "model.layers", "silu", "relu", "step 20"];
    bench.fails("sample run -n 1 --steps 1", 2, &mentions);
    bench.fails("export run x.safetensors", 2, &mentions);
    bench.fails("train tiny.yaml --out new --init-from run", 2, &mentions);
    let model = fs::read_to_string(bench.path("tiny_model.yaml")).unwrap();
    fs::write(bench.path("tiny_model.yaml"), model.replace("silu", "relu")).unwrap();
    for steps in [20, 30] {
        let line = format!("train tiny.yaml --out run --resume {FLAT} --set train.steps={steps}");
        bench.fails(&line, 2, &mentions);
    }
    assert!(!bench.path("run/checkpoints/step-30").exists() && !bench.path("x.safetensors").exists());
    // What may change on resume may differ.
    let changed = given
        .replace("sample_steps: null", "sample_steps: 3")
        .replace("keep: 3", "keep: 9");
    assert!(changed != given);
    fs::write(&path, changed).unwrap();
    bench.succeeds("sample run -n 1");
    // The remedy that the message names.
    fs::copy(bench.path("run/checkpoints/step-20/resolved.yaml"), &path).unwrap();
    bench.succeeds("sample run -n 1 --steps 1");
}

/// The newest checkpoint is passed over for this reason, and refused where it is asked for.
fn passed_over(bench: &Bench, run: &str, mentions: &[&str]) {
    bench.fails(&format!("sample {run} -n 1 --steps 1 --checkpoint 20"), 2, mentions);
    let out = bench.ebm(&format!(
        "train tiny.yaml --out {run} {FLAT} --resume --set train.steps=20"
    ));
    let stderr = text(&out.stderr);
    assert!(out.status.success(), "{stderr}");
    for mention in mentions.iter().chain(&["passed over", "going on from step 10"]) {
        assert!(stderr.contains(mention), "`{mention}` is not in\n{stderr}");
    }
}

#[test]
fn swapped_folders_are_found() {
    let bench = trained();
    copy(&bench, "run/checkpoints/step-10", "older");
    fs::remove_dir_all(bench.path("run/checkpoints/step-20")).unwrap();
    fs::rename(bench.path("older"), bench.path("run/checkpoints/step-20")).unwrap();
    passed_over(&bench, "run", &["step-20", "is of step 10"]);
}

#[test]
fn the_files_are_those_that_the_configuration_implies() {
    let bench = trained();
    let folder = "checkpoints/step-20";
    for name in ["ema", "buffer", "optimizer", "meters", "weights"] {
        copy(&bench, "run", name);
        let file = format!("{name}.safetensors");
        reseal(&bench.path(name).join(folder), |manifest| {
            drop(manifest.files.remove(&file))
        });
        passed_over(&bench, name, &["manifest.json", "does not name", &file]);
    }
    for name in ["../../../stray.safetensors", "notes.txt", "/etc/hostname"] {
        fs::write(bench.path("stray.safetensors"), "").unwrap();
        let _ = fs::remove_dir_all(bench.path("more"));
        copy(&bench, "run", "more");
        reseal(&bench.path("more").join(folder), |manifest| {
            let entry = Entry {
                bytes: 0,
                sha256: sha256(b""),
            };
            manifest.files.insert(name.into(), entry);
        });
        passed_over(&bench, "more", &["manifest.json", name, "does not ask for"]);
    }
}

#[test]
fn numbers_that_no_run_writes_are_damage() {
    let bench = trained();
    let set = |record: &mut Value, pointer: &str, value: Value| *record.pointer_mut(pointer).unwrap() = value;
    let cases: [(&str, Value, &str); 13] = [
        ("/lr_scale", (-1).into(), "lr_scale"),
        ("/lr_scale", 0.into(), "lr_scale"),
        ("/lr_scale", 2.into(), "lr_scale"),
        ("/seconds", (-1).into(), "seconds"),
        ("/meters", 21.into(), "meters"),
        ("/guard/norms", vec![-1.0].into(), "guard.norms"),
        ("/guard/norms", vec![1.0; 102].into(), "guard.norms"),
        ("/guard/suspicious", 99.into(), "guard.suspicious"),
        ("/batches/position", 51.into(), "batches"),
        ("/batches/position", (-1).into(), "batches"),
        ("/batches/images", 0.into(), "batches"),
        ("/streams/sampler/seed", 1.into(), "streams.sampler"),
        ("/streams/data/counter", (-1).into(), "state.json"),
    ];
    for (i, (pointer, value, mention)) in cases.into_iter().enumerate() {
        let run = format!("case-{i}");
        copy(&bench, "run", &run);
        let folder = bench.path(&run).join("checkpoints/step-20");
        let mut record: Value = serde_json::from_slice(&fs::read(folder.join("state.json")).unwrap()).unwrap();
        set(&mut record, pointer, value);
        put(&folder, "state.json", record.to_string().as_bytes());
        passed_over(&bench, &run, &["state.json", mention]);
    }
}

#[test]
fn imported_weights_need_no_other_files() {
    let bench = trained();
    bench.succeeds("export run weights.safetensors");
    bench.succeeds("import weights.safetensors --model tiny_model.yaml --out imported");
    bench.succeeds("sample imported -n 1 --steps 1");
    let folder = bench.path("imported/checkpoints/step-0");
    put(
        &folder,
        "ema.safetensors",
        &fs::read(folder.join("weights.safetensors")).unwrap(),
    );
    bench.fails(
        "sample imported -n 1 --steps 1",
        2,
        &["ema.safetensors", "does not ask for"],
    );
}
