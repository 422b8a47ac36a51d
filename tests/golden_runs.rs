//! Runs that an earlier version left load, score to the energies that it stored, sample and resume.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Bench;
use serde_json::Value;

/// A bench with a copy of a stored run under its own name, beside the images that it made.
fn stored(name: &str) -> Bench {
    let bench = Bench::new();
    copy(&golden(name), &bench.path(name));
    fs::copy(golden(&format!("{name}.npy")), bench.path("images.npy")).unwrap();
    bench
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/runs")
        .join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// The third column of a CSV, the energy, without its header.
fn energies(csv: &str) -> Vec<f64> {
    let rows = csv.lines().skip(1);
    rows.map(|row| row.split(',').nth(2).unwrap().parse().unwrap())
        .collect()
}

/// The lines of a log that have a loss.
fn losses(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line.get("loss").is_some()).collect()
}

fn close(found: f64, wanted: f64, share: f64) -> bool {
    (found - wanted).abs() <= share * wanted.abs().max(1e-2)
}

#[test]
fn stored_runs_score_to_their_energies() {
    for name in ["energy", "classes"] {
        let bench = stored(name);
        let found = energies(&bench.succeeds(&format!("score {name} images.npy")));
        let wanted = energies(&fs::read_to_string(golden(&format!("{name}.csv"))).unwrap());
        assert_eq!(found.len(), 8);
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(close(*found, wanted, 1e-5), "{name}: {found} instead of {wanted}");
        }
    }
}

#[test]
fn stored_runs_sample_what_they_did() {
    for name in ["energy", "classes"] {
        let bench = stored(name);
        bench.succeeds(&format!("sample {name} -n 8 --seed 3 --out again.npy"));
        let (found, wanted) = (
            fs::read(bench.path("again.npy")).unwrap(),
            fs::read(golden(&format!("{name}.npy"))).unwrap(),
        );
        assert_eq!(found.len(), wanted.len());
        // Another processor may round a level the other way.
        let apart = found.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "{name}: {apart:?} levels apart");
        bench.succeeds(&format!("sample {name} -n 4 --from buffer --out kept.npy"));
    }
}

#[test]
fn stored_runs_go_on_as_they_did() {
    for name in ["energy", "classes"] {
        let bench = stored(name);
        bench.succeeds(&format!(
            "train {name}/resolved.yaml --out {name} --resume --set train.steps=40"
        ));
        let found = losses(&bench.path(name).join("metrics.jsonl"));
        let wanted = losses(&golden(&format!("{name}.jsonl")));
        for (found, wanted) in found[found.len() - wanted.len()..].iter().zip(&wanted) {
            assert_eq!(found["step"], wanted["step"]);
            for key in ["loss", "energy_pos", "grad_norm", "chain_grad_norm", "buffer_age", "lr"] {
                let [found, wanted] = [found, wanted].map(|line| line[key].as_f64().unwrap());
                assert!(close(found, wanted, 1e-3), "{name} {key}: {found} instead of {wanted}");
            }
        }
    }
}
