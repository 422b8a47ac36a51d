//! A TorchScript file is a program: what reaches beyond tensors is not run unless the file is
//! trusted.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use common::{Bench, CLASSIFIER, text};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The golden network of three classes, with `line` before its first statement; deflated, as
/// PyTorch writes code.
fn network(path: &Path, line: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/script_classes.pt");
    let mut from = ZipArchive::new(fs::File::open(golden).unwrap()).unwrap();
    let mut to = ZipWriter::new(fs::File::create(path).unwrap());
    for at in 0..from.len() {
        let mut entry = from.by_index(at).unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        let mut method = CompressionMethod::Stored;
        if entry.name().ends_with(".py") {
            let code = String::from_utf8(contents).unwrap();
            let changed = code.replace("    _0 = ops.prim", &format!("    {line}\n    _0 = ops.prim"));
            assert_ne!(code, changed);
            contents = changed.into_bytes();
            method = CompressionMethod::Deflated;
        }
        let options = FileOptions::default().compression_method(method);
        to.start_file(entry.name(), options).unwrap();
        to.write_all(&contents).unwrap();
    }
    to.finish().unwrap();
}

const EVALUATE: &str =
    "evaluate run --parts quality -n 12 --steps 1 --data images.npy --reference train --feature-range 0,1";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.import("run", CLASSIFIER);
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 8, 8), }";
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").into_bytes());
    bytes.extend((0..12 * 64).map(|i| (i * 7 % 251) as u8));
    fs::write(bench.path("images.npy"), bytes).unwrap();
    bench
}

#[test]
fn a_network_that_writes_a_file_is_refused_before_it_runs() {
    let bench = bench();
    for (line, word) in [
        ("torch.save(x, \"written\")", "`save`"),
        ("x.save(\"written\")", "`save`"),
        ("getattr(torch, \"save\")(x, \"written\")", "`save`"),
        ("y = torch.from_file(\"written\", True, 8)", "`from_file`"),
        ("print(\"hello\")", "`print`"),
        ("ops.c10d.send(x)", "`ops.c10d`"),
    ] {
        network(&bench.path("net.pt"), line);
        for option in ["--features", "--class-probabilities"] {
            let said = bench.fails(
                &format!("{EVALUATE} {option} net.pt"),
                2,
                &["net.pt", "__torch__.py", word],
            );
            assert!(said.contains("--trust-features"), "{said}");
            assert!(!bench.path("written").exists(), "{line}");
        }
    }
}

#[test]
fn a_trusted_network_runs_as_it_is() {
    let bench = bench();
    network(&bench.path("net.pt"), "torch.save(x, \"written\")");
    bench.succeeds(&format!("{EVALUATE} --features net.pt --trust-features"));
    assert!(bench.path("written").exists());
}

#[test]
fn a_network_that_computes_needs_no_trust_and_gives_the_same() {
    let bench = bench();
    network(&bench.path("net.pt"), "same = torch.add(x, x)");
    let figures = |options: &str| {
        let out = bench.ebm(&format!("{EVALUATE} --json f.json --features net.pt {options}"));
        assert!(out.status.success(), "{}", text(&out.stderr));
        fs::read_to_string(bench.path("f.json")).unwrap()
    };
    assert_eq!(figures(""), figures("--trust-features"));
}

/// Two entries of one name may be two things to two readers.
#[test]
fn an_archive_with_two_entries_of_a_name_is_refused() {
    let bench = bench();
    let mut to = ZipWriter::new(fs::File::create(bench.path("net.pt")).unwrap());
    for name in ["archive/code/__torch__.py", "archive/CODE/__torch__.py"] {
        to.start_file(
            name,
            FileOptions::default().compression_method(CompressionMethod::Stored),
        )
        .unwrap();
    }
    to.finish().unwrap();
    bench.fails(&format!("{EVALUATE} --features net.pt"), 2, &["net.pt", "two entries"]);
}
