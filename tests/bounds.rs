//! What a file or a command line asks for is held against memory before anything is made, by sums
//! that cannot overflow.

mod common;

use std::fs;

use common::{Bench, text};

/// More than any machine has, and small enough that a sum of bytes in 64 bits wraps around to
/// little.
const HUGE: [&str; 2] = ["1000000000000", "4611686018427387904"];

fn model(layers: &str) -> String {
    format!("{{name: m, input: [1, 8, 8], layers: [{layers}]}}")
}

#[test]
fn architectures_that_memory_cannot_hold_name_their_layer() {
    let bench = Bench::new();
    for n in HUGE {
        for (layers, key) in [
            (
                format!("{{conv: {{out: {n}, kernel: 3}}}}, flatten, {{linear: {{out: 1}}}}"),
                "layers[0].conv",
            ),
            (
                format!("{{conv: {{out: 4, kernel: 3, padding: {n}}}}}, flatten, {{linear: {{out: 1}}}}"),
                "layers[0].conv",
            ),
            (
                format!("{{conv: {{out: 4, kernel: {n}, padding: {n}}}}}, flatten, {{linear: {{out: 1}}}}"),
                "layers[0].conv",
            ),
            (
                format!("flatten, {{linear: {{out: {n}}}}}, {{linear: {{out: 1}}}}"),
                "layers[1].linear",
            ),
            (
                format!("{{subsample: {{out: {n}}}}}, flatten, {{linear: {{out: 1}}}}"),
                "layers[0].subsample",
            ),
            (
                format!("{{avg_pool: {{size: {n}, padding: {n}}}}}, flatten, {{linear: {{out: 1}}}}"),
                "layers[0].avg_pool",
            ),
        ] {
            fs::write(bench.path("m.yaml"), model(&layers)).unwrap();
            let said = bench.fails("check m.yaml", 2, &["m.yaml", key, "memory", "remedy: "]);
            assert!(!said.contains("panicked"), "{said}");
        }
        let input = format!("{{name: m, input: [{n}, {n}, 3], layers: [flatten, {{linear: {{out: 1}}}}]}}");
        fs::write(bench.path("m.yaml"), input).unwrap();
        bench.fails("check m.yaml", 2, &["m.yaml: input", "memory"]);
    }
}

#[test]
fn repeats_inside_repeats_end_at_a_number_of_layers() {
    let bench = Bench::new();
    let inner = "{repeat: {times: 9000, layers: [silu]}}";
    let block = format!("{{repeat: {{times: 9000, layers: [{{residual: {{branch: [{inner}]}}}}]}}}}");
    fs::write(
        bench.path("m.yaml"),
        model(&format!("{block}, flatten, {{linear: {{out: 1}}}}")),
    )
    .unwrap();
    bench.fails("check m.yaml", 2, &["layers[0].repeat", "layers in all"]);
}

#[test]
fn experiments_that_memory_cannot_hold_name_their_key() {
    let bench = Bench::new();
    for n in HUGE {
        for key in [
            "buffer.size",
            "train.batch_size",
            "report.images",
            "evaluate.images",
            "data.dataset.strokes.count",
        ] {
            let batch = if key == "train.batch_size" {
                format!("--set buffer.size={n}")
            } else {
                String::new()
            };
            let line = format!("--set {key}={n} {batch}");
            let mention = if batch.is_empty() { key } else { "tiny.yaml" };
            bench.fails(&format!("check tiny.yaml {line}"), 2, &[mention]);
        }
        for key in [
            "data.validation",
            "data.limit",
            "evaluate.limit",
            "data.augment.pad_crop",
            "sampler.n_steps",
        ] {
            let line = format!("check tiny.yaml --set {key}={n}");
            let out = bench.ebm(&line);
            let said = text(&out.stderr);
            // 10^12 of these is odd, and takes no memory; no code means that a signal ended the check.
            let fits = |code| n == HUGE[0] || (code == 2 && said.contains(key));
            assert!(out.status.code().is_some_and(fits), "{line}: {said}");
        }
    }
    bench.fails(
        &format!("train tiny.yaml --out run --set buffer.size={}", HUGE[0]),
        2,
        &["buffer.size", "memory"],
    );
    assert!(!bench.path("run").exists());
}

#[test]
fn more_images_than_memory_holds_are_not_drawn() {
    let bench = Bench::new();
    // An image takes a GiB here, a million of them what no machine has.
    let large = "{name: large, input: [1, 16384, 16384], layers: [global_avg_pool, {linear: {out: 1}}]}";
    bench.import("large", large);
    bench.fails("sample large -n 1000000 --out x.npy", 2, &["-n", "memory", "available"]);
    assert!(!bench.path("x.npy").exists());
}

/// Texts of so many levels: flow and block style, closed and left open.
fn nested(depth: usize) -> Vec<String> {
    vec![
        format!("layers: {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth)),
        format!("{}1", "- ".repeat(depth)),
        format!("{}1", "? ".repeat(depth)),
        format!("layers: [{}flatten", "{residual: {branch: [".repeat(depth)),
    ]
}

#[test]
fn deep_nesting_is_refused_at_once() {
    let bench = Bench::new();
    bench.import("run", common::CLASSIFIER);
    for yaml in nested(100_000) {
        fs::write(bench.path("deep.yaml"), yaml).unwrap();
        for line in [
            "check deep.yaml",
            "train deep.yaml --out x",
            "train tiny.yaml --set model=deep.yaml --out x",
            "import run.safetensors --model deep.yaml --out x",
            "import run.safetensors --model run.yaml --sampler deep.yaml --out x",
            "import run.safetensors --model run.yaml --map deep.yaml --out x",
        ] {
            bench.fails(
                line,
                2,
                &["deep.yaml", "inside each other more than 100 deep", "remedy: "],
            );
        }
    }
    let deep = format!("sampler={}", "{a: ".repeat(20_000));
    let keys = format!("{}=1", vec!["a"; 50_000].join("."));
    for set in [deep, keys] {
        let out = bench.command("check tiny.yaml --set").arg(&set).output().unwrap();
        assert_eq!(out.status.code(), Some(2));
        assert!(
            text(&out.stderr).contains("more than 100 deep"),
            "{:.300}",
            text(&out.stderr)
        );
    }
    let set = "{data: ".repeat(15_000);
    let out = bench
        .command("ood run --in a.npy --against")
        .arg(&set)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2), "{:.300}", text(&out.stderr));
}

#[test]
fn aliases_that_multiply_are_refused() {
    let bench = Bench::new();
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in [
        ("b", "a"),
        ("c", "b"),
        ("d", "c"),
        ("e", "d"),
        ("f", "e"),
        ("g", "f"),
        ("h", "g"),
    ] {
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "));
    }
    fs::write(bench.path("bomb.yaml"), bomb).unwrap();
    bench.fails("check bomb.yaml", 2, &["bomb.yaml", "aliases", "remedy: "]);
    // One that is used as it is meant passes.
    let tiny = fs::read_to_string(bench.path("tiny.yaml")).unwrap();
    let aliased = tiny.replace("uniform]", "&u uniform, *u]");
    assert_ne!(tiny, aliased);
    fs::write(bench.path("aliased.yaml"), aliased).unwrap();
    bench.succeeds("check aliased.yaml");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let bench = Bench::new();
    for file in ["tiny.yaml", "tiny_model.yaml"] {
        let plain = fs::read_to_string(bench.path(file)).unwrap();
        let before = bench.succeeds(&format!("check {file} --file-only"));
        fs::write(bench.path(file), format!("\u{feff}{}", plain.trim_start())).unwrap();
        assert_eq!(bench.succeeds(&format!("check {file} --file-only")), before);
    }
}
