//! `ebm import` of two public networks' forms: their names, kinds and signs, and scores equal to PyTorch's.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::fill::{fill, uniform};
use common::{Bench, text};
use ebm::files::{self, Named};
use serde::Deserialize;
use tch::{Kind, Tensor};

/// Of the largest energy; single precision is off by less than 1.4e-6 in networks of this size (see nn_golden.rs).
const TOLERANCE: f64 = 1.5e-5;

#[derive(Deserialize)]
struct Case {
    /// N, H, W, C
    images: [i64; 4],
    scales: BTreeMap<String, f64>,
    state: Vec<(String, Vec<i64>)>,
    /// A row an image.
    out: Vec<Vec<f64>>,
}

impl Case {
    fn named(name: &str) -> Case {
        let mut all: BTreeMap<String, Case> = serde_json::from_str(include_str!("golden/import.json")).unwrap();
        all.remove(name).unwrap()
    }

    /// The state dict that PyTorch would have saved.
    fn tensors(&self) -> Named {
        let state = self.state.iter();
        state
            .map(|(name, shape)| (name.clone(), fill(name, shape, &self.scales)))
            .collect()
    }

    /// E(x) = -logsumexp of each row.
    fn marginal(&self) -> Vec<f64> {
        let rows = self.out.iter();
        rows.map(|row| -row.iter().map(|f| f.exp()).sum::<f64>().ln()).collect()
    }

    /// A folder with the images as `images.npy`, the state as `x.safetensors`, and the model's files.
    fn bench(&self, files: &[&str]) -> Bench {
        let bench = Bench::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in files {
            let name = file.replace('/', "_");
            fs::copy(root.join(file), bench.path(&name)).unwrap();
        }
        write_stack(&bench.path("images.npy"), self.images);
        save(&bench, "x.safetensors", &self.tensors());
        bench
    }
}

fn save(bench: &Bench, file: &str, tensors: &Named) {
    fs::write(bench.path(file), files::encode(tensors).unwrap()).unwrap();
}

/// Levels by the rule of golden/nn.py.
fn write_stack(path: &Path, [n, h, w, c]: [i64; 4]) {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {h}, {w}, {c}), }}");
    let padded = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(padded.into_bytes());
    bytes.extend(
        uniform("images", n * h * w * c)
            .iter()
            .map(|u| (256.0 * u).floor() as u8),
    );
    fs::write(path, bytes).unwrap();
}

/// The column `energy` of a table of scores.
fn energies(table: &str) -> Vec<f64> {
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let column = header.iter().position(|name| *name == "energy").expect("an energy");
    lines.map(|fields| fields[column].parse().unwrap()).collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= TOLERANCE * largest,
            "image {i}: {f}, PyTorch has {e} ({found:?}, {expected:?})"
        );
    }
}

const RESNET: [&str; 2] = ["models/resnet20_cifar10.yaml", "models/names/resnet20_cifar10.yaml"];
const IMPORT_RESNET: &str = "--model models_resnet20_cifar10.yaml --prefix module. --map models_names_resnet20_cifar10.yaml --sampler tiny.yaml";

/// Runs an import, which must succeed; returns its messages.
fn messages(bench: &Bench, line: &str) -> String {
    let out = bench.ebm(line);
    assert!(out.status.success(), "ebm {line}: {}", text(&out.stderr));
    text(&out.stderr)
}

#[test]
fn the_public_resnet20_scores_as_in_pytorch() {
    let golden = Case::named("resnet20");
    let bench = golden.bench(&RESNET);
    let said = messages(&bench, &format!("import x.safetensors {IMPORT_RESNET} --out run"));
    assert!(
        !said.contains("left out") && !said.contains("num_batches_tracked"),
        "{said}"
    );
    let table = bench.succeeds("score run images.npy");
    assert_near(&energies(&table), &golden.marginal());
    let shown = bench.succeeds("check models_resnet20_cifar10.yaml");
    for words in [
        "3x32x32, each channel normalised",
        "subsample, stride 2, 16 channels of zeroes",
        "269,722",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    bench.fails(
        &format!("import x.safetensors {IMPORT_RESNET} --out negative --negate"),
        2,
        &["logits", "--negate"],
    );
}

#[test]
fn files_of_old_pytorch_lack_counts_and_others_hold_more() {
    let golden = Case::named("resnet20");
    let bench = golden.bench(&RESNET);
    bench.succeeds(&format!("import x.safetensors {IMPORT_RESNET} --out whole"));
    let mut old: Named = golden.tensors();
    old.retain(|name, _| !name.ends_with("num_batches_tracked"));
    let counts = golden.state.len() - old.len();
    assert_eq!(counts, 19);
    for name in ["epoch", "best_prec1"] {
        old.insert(name.into(), Tensor::from(3.0));
    }
    save(&bench, "old.safetensors", &old);
    let said = messages(&bench, &format!("import old.safetensors {IMPORT_RESNET} --out old"));
    assert!(
        said.contains("2 tensors whose names do not begin with `module.`"),
        "{said}"
    );
    assert!(said.contains("19 batch norms have no num_batches_tracked"), "{said}");
    let table = |run: &str| bench.succeeds(&format!("score {run} images.npy"));
    assert_eq!(table("old"), table("whole"));
    bench.succeeds("export old again.safetensors");
    let again = files::read(&bench.path("again.safetensors")).unwrap();
    assert_eq!(again["1.num_batches_tracked"].int64_value(&[]), 0);

    // What is missing besides is still an error.
    old.remove("module.layer2.0.bn1.running_mean");
    save(&bench, "less.safetensors", &old);
    bench.fails(
        &format!("import less.safetensors {IMPORT_RESNET} --out less"),
        2,
        &["missing (1): 9.branch.1.running_mean"],
    );
}

/// Every kind becomes f32: double precision gives the same scores, lower ones those of the rounded numbers.
#[test]
fn weights_of_other_kinds_become_f32() {
    let golden = Case::named("resnet20");
    let bench = golden.bench(&RESNET);
    let scores = |name: &str, stored: Kind, rounded: bool| {
        let convert = |t: Tensor| match t.is_floating_point() {
            true if rounded => t.to_kind(stored).to_kind(Kind::Float),
            true => t.to_kind(stored),
            false => t,
        };
        let tensors = golden.tensors().into_iter().map(|(n, t)| (n, convert(t)));
        save(&bench, "other.safetensors", &tensors.collect());
        bench.succeeds(&format!("import other.safetensors {IMPORT_RESNET} --out {name}"));
        energies(&bench.succeeds(&format!("score {name} images.npy")))
    };
    let exact = scores("f32", Kind::Float, false);
    assert_eq!(scores("f64", Kind::Double, false), exact);
    for (name, kind) in [("f16", Kind::Half), ("bf16", Kind::BFloat16)] {
        let found = scores(name, kind, false);
        assert_eq!(found, scores(&format!("{name}-rounded"), kind, true));
        assert_ne!(found, exact, "{name} rounds");
    }
}

#[test]
fn the_uva_network_scores_as_in_pytorch_with_either_sign() {
    let golden = Case::named("uva_tutorial8");
    let bench = golden.bench(&["models/uva_tutorial8.yaml"]);
    let import = "import x.safetensors --model models_uva_tutorial8.yaml --prefix cnn.cnn_layers. --sampler tiny.yaml";
    bench.succeeds(&format!("{import} --out run"));
    bench.succeeds(&format!("{import} --negate --out negative"));
    let f: Vec<f64> = golden.out.iter().map(|row| row[0]).collect();
    let minus: Vec<f64> = f.iter().map(|f| -f).collect();
    assert_near(&energies(&bench.succeeds("score run images.npy")), &minus);
    assert_near(&energies(&bench.succeeds("score negative images.npy")), &f);
    // The names as they stand, without --prefix, by a map of beginnings.
    fs::write(bench.path("names.yaml"), "cnn.cnn_layers.: ''\n").unwrap();
    let line = import.replace("--prefix cnn.cnn_layers.", "--map names.yaml");
    bench.succeeds(&format!("{line} --out mapped"));
    assert_near(&energies(&bench.succeeds("score mapped images.npy")), &minus);
}

/// A whole name goes before a beginning, and a longer beginning before a shorter one.
#[test]
fn the_most_exact_entry_of_a_map_wins() {
    let golden = Case::named("uva_tutorial8");
    let bench = golden.bench(&["models/uva_tutorial8.yaml"]);
    // cnn.cnn_layers.0.bias is called by another name, and 11 stands in a part of its own.
    let moved = |name: &str| match name {
        "cnn.cnn_layers.0.bias" => "cnn.cnn_layers.9.first_bias".to_owned(),
        other => other
            .replace("cnn_layers.9.", "cnn_layers.hidden.")
            .replace("cnn_layers.11.", "cnn_layers.hidden.last."),
    };
    let tensors = golden.tensors().into_iter().map(|(n, t)| (moved(&n), t));
    save(&bench, "moved.safetensors", &tensors.collect());
    let map = "
cnn.cnn_layers.: ''
cnn.cnn_layers.9.first_bias: 0.bias
cnn.cnn_layers.hidden.: '9.'
cnn.cnn_layers.hidden.last.: '11.'
";
    let import = "import moved.safetensors --model models_uva_tutorial8.yaml --sampler tiny.yaml --map names.yaml";
    fs::write(bench.path("names.yaml"), map).unwrap();
    bench.succeeds(&format!("{import} --out run"));
    let minus: Vec<f64> = golden.out.iter().map(|row| -row[0]).collect();
    assert_near(&energies(&bench.succeeds("score run images.npy")), &minus);

    let refused = |entry: &str, mentions: &[&str]| {
        fs::write(bench.path("names.yaml"), format!("{map}{entry}\n")).unwrap();
        bench.fails(&format!("{import} --out refused"), 2, mentions);
    };
    refused("cnn.head.: '12.'", &["names.yaml", "`cnn.head.`", "moved.safetensors"]);
    refused(
        "cnn.cnn_layers.2.: '2'",
        &["names.yaml", "`2`", "does not end in a dot"],
    );
    refused("cnn.cnn_layers.2.: '4.'", &["names.yaml", "two tensors", "`4.bias`"]);
    refused("cnn.cnn_layers.2.: 4.", &["names.yaml", "the number 4", "in quotes"]);
    assert!(!bench.path("refused").exists());
}

/// A file of PyTorch's says what it is, and how to convert it in one line.
#[test]
fn files_that_are_no_safetensors_name_the_conversion() {
    let bench = Bench::new();
    let zip = |first: &str| [b"PK\x03\x04", first.as_bytes()].concat();
    for (name, bytes, what) in [
        ("new.pth", zip("archive/data.pkl"), "torch.save"),
        ("old.ckpt", b"\x80\x02\x8a\x0al\xfc\x9cF".to_vec(), "pickle"),
        ("it's.pt", zip("net/data.pkl net/code/__torch__.py"), "TorchScript"),
    ] {
        fs::write(bench.path(name), bytes).unwrap();
        let said = bench.fails(
            &format!("import {name} --model tiny_model.yaml --out run"),
            2,
            &[
                name.trim_start_matches("it's"),
                what,
                "not safetensors",
                "python3 -c 'import torch",
            ],
        );
        let remedy = said.lines().find(|l| l.contains("remedy")).unwrap();
        let stem = name.split('.').next().unwrap().replace('\'', "'\\''");
        assert!(
            remedy.contains("save_file(") && remedy.contains(&format!("\"{stem}.safetensors\"")),
            "{remedy}"
        );
        assert!(!bench.path("run").exists());
    }
    fs::write(bench.path("net.h5"), b"\x89HDF\r\n").unwrap();
    bench.fails(
        "import net.h5 --model tiny_model.yaml --out run",
        2,
        &["net.h5", "HDF5"],
    );
}

/// A header that lies about shapes and places is one plain error.
#[test]
fn impossible_safetensors_are_one_error() {
    let bench = Bench::new();
    let entry = |shape: &str, offsets: &str| {
        format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
    };
    let headers = [
        entry("[-1]", "[0,4]"),
        entry("[2]", "[0,4]"),
        entry("[4611686018427387905]", "[0,4]"),
        entry("[9223372036854775808,0]", "[0,0]"),
        entry("[0,9223372036854775807,4]", "[0,0]"),
        entry("[1]", "[4,0]"),
        entry("[1]", "[0,18446744073709551615]"),
        entry("[1]", "[8,12]"),
        "[".repeat(5000),
    ];
    let mut files: Vec<Vec<u8>> = headers
        .iter()
        .map(|h| [&(h.len() as u64).to_le_bytes()[..], h.as_bytes(), &[0; 4]].concat())
        .collect();
    // A header that is longer than the file, and than any.
    files.push([&u64::MAX.to_le_bytes()[..], b"{}"].concat());
    files.push(b"abc".to_vec());
    for (i, bytes) in files.iter().enumerate() {
        fs::write(bench.path("bad.safetensors"), bytes).unwrap();
        let line = "import bad.safetensors --model tiny_model.yaml --out run";
        let said = bench.fails(line, 2, &["bad.safetensors: not a usable safetensors file", "remedy: "]);
        assert_eq!(said.lines().count(), 2, "{i}: {said}");
    }
}

#[test]
fn an_export_onto_a_folder_is_refused() {
    let bench = Bench::new();
    bench.import("run", common::CLASSIFIER);
    fs::create_dir(bench.path("here")).unwrap();
    let said = bench.fails(
        "export run here",
        2,
        &["here: cannot be written: it is a folder", "remedy: "],
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}
