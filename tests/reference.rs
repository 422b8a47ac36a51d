//! The generated part of the documentation is current, and its schemas take what the program takes.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::Bench;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn pages_and_schemas_are_current() {
    let bench = Bench::new();
    let written = bench.succeeds("reference made");
    let names: Vec<&str> = written
        .lines()
        .map(|line| line.strip_prefix("made/").unwrap())
        .collect();
    assert_eq!(names.len(), 10, "{names:?}");
    for name in &names {
        let (made, kept) = (
            read(&bench.path("made").join(name)),
            read(&root().join("docs").join(name)),
        );
        assert!(
            made == kept,
            "docs/{name} is not what the code says; run `make reference`"
        );
    }
    let pages = std::fs::read_dir(root().join("docs/src/reference")).unwrap();
    let pages: BTreeSet<String> = pages
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let made = names.iter().filter_map(|name| name.strip_prefix("src/reference/"));
    assert_eq!(
        pages,
        made.map(str::to_owned).collect(),
        "docs/src/reference holds generated pages alone"
    );
}

fn schema(name: &str) -> jsonschema::Validator {
    let text = read(&root().join("docs/schema").join(name));
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn faults(schema: &jsonschema::Validator, file: &Value) -> String {
    let faults: Vec<String> = schema
        .iter_errors(file)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    faults.join("\n")
}

/// The YAML files of a folder of the project.
fn shipped(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|e| e.unwrap().path());
    let files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(!files.is_empty(), "{folder}");
    files
}

#[test]
fn every_shipped_file_fits_its_schema() {
    for (folder, name) in [("experiments", "experiment.json"), ("models", "model.json")] {
        let schema = schema(name);
        for file in shipped(folder) {
            let found = faults(&schema, &yaml(&read(&file)));
            assert!(found.is_empty(), "{}:\n{found}", file.display());
        }
    }
}

#[test]
fn what_a_run_resolves_fits_the_schema() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=1");
    let found = faults(
        &schema("experiment.json"),
        &yaml(&read(&bench.path("run/resolved.yaml"))),
    );
    assert!(found.is_empty(), "{found}");
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let schema = schema("experiment.json");
    let good = read(&root().join("experiments/strokes.yaml"));
    for (from, to) in [
        ("kernel:", "kernal:"),
        ("langevin:", "langewin:"),
        ("step_size: 10", "step_size: ten"),
        ("order: [noise, clamp,", "order: [noise, clmp,"),
        ("contrastive:", "contrast:"),
        ("lr: 1.0e-3\n", "\n"),
        ("cosine: {}", "cosine"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(!schema.is_valid(&yaml(&bad)), "{from} -> {to}");
    }
}

#[test]
fn every_metric_of_a_run_is_described() {
    let bench = Bench::new();
    let page = read(&root().join("docs/src/reference/metrics.md"));
    let looks = "--set evaluate.every=2 --set evaluate.images=4";
    for (i, sets) in [
        "",
        "--set objective.chain-kl={} --set objective.chain-entropy={}",
        "--set objective={nce:{}}",
        "--set objective={denoising:{sigma:0.1}}",
        "--set model=tiny_classifier.yaml --set objective={cross-entropy:{}}",
        "--set model=tiny_classifier.yaml --set objective={cross-entropy:{},conditional:{}} --set sampler.classes=kept",
        "--set sampler.kernel={mala:{step_size:0.01}}",
    ]
    .iter()
    .enumerate()
    {
        // YAML wants a space behind a colon, and the bench splits words at spaces.
        let mut command = bench.command(&format!(
            "train tiny.yaml --out run{i} {looks} --set train.steps=2 --set train.log_every=1"
        ));
        command.args(sets.split_whitespace().map(|word| word.replace(':', ": ")));
        let out = command.output().unwrap();
        assert!(out.status.success(), "{sets}\n{}", common::text(&out.stderr));
        for line in read(&bench.path(&format!("run{i}/metrics.jsonl"))).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line.get("event").is_some() {
                continue;
            }
            for name in line.as_object().unwrap().keys() {
                assert!(
                    page.contains(&format!("| `{name}` |")),
                    "docs do not say what `{name}` is ({sets})"
                );
            }
        }
    }
}

#[test]
fn every_quantity_of_a_term_is_described() {
    let page = read(&root().join("docs/src/reference/metrics.md"));
    for (key, objective) in ebm::objective::ObjectiveConfig::examples() {
        for quantity in objective.build(tch::Device::Cpu).quantities() {
            let name = quantity.name;
            assert!(
                page.contains(&format!("| `{name}` |")),
                "src/reference/metrics.rs does not say what `{name}` of {key} is"
            );
        }
    }
}
