//! `ebm ood`, `ebm threshold` and the scores of `ebm score`, through the real binary.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Bench, text};
use ebm::energy::FrozenEnergy;
use ebm::eval::{Judge, Score, auroc, outliers};
use ebm::files::{self, Named};
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A bench with a run of a few steps in it.
fn trained(options: &str) -> Bench {
    let bench = Bench::new();
    bench.succeeds(&format!("train tiny.yaml --out run --set train.steps=4 {options}"));
    bench
}

const CLASSIFIER: &str = "{name: hand, input: [1, 1, 2], output: logits, layers: [flatten, {linear: {out: 3}}]}";
const PLAIN: &str = "{name: hand, input: [1, 1, 2], layers: [flatten, {linear: {out: 1}}]}";
const W: [[f32; 2]; 3] = [[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]];

/// A bench with a run made of weights written by hand, and a stack of three images of two pixels.
fn imported(model: &str, rows: &[[f32; 2]]) -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("hand.yaml"), model).unwrap();
    let n = rows.len() as i64;
    let weights = Named::from([
        ("1.weight".into(), Tensor::from_slice(rows.as_flattened()).view([n, 2])),
        ("1.bias".into(), Tensor::zeros([n], (Kind::Float, Device::Cpu))),
    ]);
    fs::write(bench.path("w.safetensors"), files::encode(&weights).unwrap()).unwrap();
    bench.succeeds("import w.safetensors --model hand.yaml --out hand");
    let levels = Tensor::from_slice(&[255u8, 0, 0, 255, 204, 153]).view([3, 1, 1, 2]);
    ebm::report::npy(&levels, &bench.path("x.npy")).unwrap();
    bench
}

/// The images of x.npy in [-1, 1].
const X: [[f64; 2]; 3] = [[1.0, -1.0], [-1.0, 1.0], [0.6, 0.2]];

fn logits(x: [f64; 2]) -> [f64; 3] {
    W.map(|w| f64::from(w[0]) * x[0] + f64::from(w[1]) * x[1])
}

fn logsumexp(f: [f64; 3]) -> f64 {
    f.iter().map(|v| v.exp()).sum::<f64>().ln()
}

fn json(bench: &Bench, name: &str) -> Value {
    let bytes = fs::read(bench.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_slice(&bytes).unwrap()
}

/// The rows of a table of CSV without quoted fields, by their headers.
fn table(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv.lines().map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let row = |cells: Vec<String>| {
        assert_eq!(cells.len(), header.len());
        header.iter().cloned().zip(cells).collect()
    };
    lines.map(row).collect()
}

fn assert_near(found: &str, expected: f64) {
    let found: f64 = found.parse().unwrap();
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}

#[test]
fn ood_writes_what_the_library_finds() {
    let bench = trained("");
    let line = "ood run --against uniform flipped --scores log_px,grad_norm --bootstrap 20";
    let out = bench.succeeds(&format!("{line} --json new/a.json --csv a.csv --out pictures"));
    for mention in [
        "strokes, 12 images",
        "none",
        "-log p(x)",
        "|grad log p|",
        "uniform",
        "AUPR",
        "FPR95 in",
        "FPR95 out",
        "20 resamples",
    ] {
        assert!(out.contains(mention), "`{mention}` is not in\n{out}");
    }
    for name in ["log_px", "grad_norm"] {
        assert!(
            image::open(bench.path(&format!("pictures/{name}.png"))).is_ok(),
            "{name}"
        );
        assert!(out.contains(&format!("pictures/{name}.png\n")));
    }
    let rows = json(&bench, "new/a.json");
    let rows = rows.as_array().unwrap();
    let named: Vec<_> = rows
        .iter()
        .map(|r| (r["set"].as_str().unwrap(), r["score"].as_str().unwrap()))
        .collect();
    let expected = [
        ("uniform", "log_px"),
        ("uniform", "grad_norm"),
        ("flipped", "log_px"),
        ("flipped", "grad_norm"),
    ];
    assert_eq!(named, expected);
    // The last row from the library: test images against themselves upside down.
    let trained = run::load(
        &RunDir::open(&bench.path("run")).unwrap(),
        Which::Last,
        Weights::Ema,
        Device::Cpu,
    )
    .unwrap();
    let e = &trained.experiment;
    let test = ebm::data::open(&e.data, e.model.input(), Device::Cpu).unwrap().test;
    let energy = FrozenEnergy::new(trained.network().unwrap(), Kind::Float, 1.0);
    let scored = |images: &Tensor| {
        let rng = &mut Stream::new(0, "unused");
        Judge::new(&energy)
            .judge(&[Score::GradNorm], images, 256, rng)
            .unwrap()
            .scores
            .remove(0)
    };
    let expected = auroc(&scored(&test.pixels), &scored(&outliers::flipped(&test.pixels))).unwrap();
    assert_eq!(rows[3]["auroc"], expected);
    let csv = table(&fs::read_to_string(bench.path("a.csv")).unwrap());
    assert_eq!(csv.len(), 4);
    for (line, row) in csv.iter().zip(rows) {
        assert_eq!(
            (line["set"].as_str(), line["score"].as_str()),
            (row["set"].as_str().unwrap(), row["score"].as_str().unwrap())
        );
        for figure in ["auroc", "aupr_in", "aupr_out", "fpr95_in", "fpr95_out"] {
            assert_eq!(line[figure].parse::<f64>().unwrap(), row[figure], "{figure}");
            assert!((0.0..=1.0).contains(&row[figure].as_f64().unwrap()));
        }
        assert_eq!(line["auroc_low"].parse::<f64>().unwrap(), row["intervals"]["auroc"][0]);
        assert_eq!(
            (&row["images_in"], &row["images_out"]),
            (&Value::from(12), &Value::from(12))
        );
        assert_eq!(
            (&row["in"], &row["noise"], &row["step"]),
            (&Value::from("strokes"), &Value::from(0.0), &Value::from(4))
        );
        assert_eq!(row["intervals"]["resamples"], 20);
    }
    bench.succeeds(&format!("{line} --json b.json --out pictures"));
    assert_eq!(json(&bench, "new/a.json"), json(&bench, "b.json"), "the same seed");
    let other = bench.succeeds(&format!("{line} --json c.json --out pictures --noise 0.3 --seed 5"));
    assert!(other.contains("N(0, 0.3^2)"), "{other}");
    assert_ne!(json(&bench, "b.json"), json(&bench, "c.json"), "noise and another seed");
    assert_eq!(json(&bench, "c.json")[0]["noise"], 0.3);
}

#[test]
fn ood_takes_the_sets_of_the_run_or_all_that_need_no_files() {
    let bench = trained("");
    let sets = |run: &str, options: &str| {
        bench.succeeds(&format!(
            "ood {run} --scores log_px --bootstrap 0 --json a.json {options}"
        ));
        let rows = json(&bench, "a.json");
        assert!(rows[0]["intervals"].is_null());
        let rows = rows.as_array().unwrap().clone();
        rows.iter()
            .map(|r| (r["set"].as_str().unwrap().to_owned(), r["images_out"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(sets("run", ""), [("uniform".into(), 12)]);
    let record = fs::read_to_string(bench.path("run/data.json")).unwrap();
    fs::write(
        bench.path("run/data.json"),
        record.replace("\"train\": 50", "\"train\": 49"),
    )
    .unwrap();
    bench.fails(
        "ood run --scores log_px --bootstrap 0",
        2,
        &[
            "data.json: the data are not those",
            "there were 49 training images, there are 50",
        ],
    );
    fs::write(bench.path("run/data.json"), record).unwrap();
    assert!(bench.path("run/ood/log_px.png").is_file());
    bench.succeeds("train tiny.yaml --out bare --set train.steps=1 --set evaluate.ood=[]");
    let all = sets("bare", "--limit 5");
    assert_eq!(all.len(), 9);
    assert!(all.iter().all(|(_, images)| *images == 5), "{all:?}");
    // Another size: the stack is of 1 x 2 pixels.
    bench.succeeds("sample run -n 3 --steps 1 --out pictures");
    bench.succeeds("sample run -n 4 --steps 1 --out stack.npy");
    let strokes = r#"{"strokes":{"count":30,"size":20}}"#;
    let found = sets("run", &format!("--against pictures stack.npy {strokes} uniform"));
    let expected = [("pictures", 3), ("stack.npy", 4), ("strokes", 10), ("uniform", 12)];
    assert_eq!(found, expected.map(|(set, n)| (set.to_owned(), n)));
    let found = sets("run", "--in stack.npy --against uniform");
    assert_eq!(found, [("uniform".to_owned(), 4)]);
}

#[test]
fn ood_takes_validation_images_and_sums_up_what_a_score_is_chosen_by() {
    let bench = trained("");
    let line =
        "ood run --in validation --against uniform constant textures --scores log_px --bootstrap 0 --json v.json";
    let printed = bench.succeeds(line);
    let rows = json(&bench, "v.json");
    let aurocs: Vec<(f64, &str)> = (0..3)
        .map(|i| (rows[i]["auroc"].as_f64().unwrap(), rows[i]["set"].as_str().unwrap()))
        .collect();
    assert_eq!(
        (rows[0]["in"].as_str(), rows[0]["images_in"].as_i64()),
        (Some("strokes, validation"), Some(10))
    );
    let least = aurocs.iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let mean = aurocs.iter().map(|a| a.0).sum::<f64>() / 3.0;
    let summary = printed.lines().rfind(|l| l.starts_with("-log p(x)")).unwrap();
    let cells: Vec<&str> = summary.split_whitespace().skip(2).collect();
    assert_eq!(
        cells,
        [
            format!("{:.4}", least.0).as_str(),
            least.1,
            format!("{mean:.4}").as_str()
        ]
    );
    bench.succeeds("train tiny.yaml --out none --set train.steps=1 --set data.validation=0");
    bench.fails(
        "ood none --in validation",
        2,
        &["held no validation images out", "leave --in out"],
    );
}

#[test]
fn ood_leaves_out_what_a_run_has_not() {
    let bench = trained("");
    let scores = |line: &str| {
        bench.succeeds(&format!("ood {line} --bootstrap 0 --json a.json"));
        let rows = json(&bench, "a.json");
        rows.as_array()
            .unwrap()
            .iter()
            .map(|r| r["score"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(scores("run"), ["log_px", "grad_norm", "typicality"]);
    let bench = imported(CLASSIFIER, &W);
    let scores = |line: &str| {
        bench.succeeds(&format!(
            "ood {line} --in x.npy --against uniform --bootstrap 0 --json a.json"
        ));
        let rows = json(&bench, "a.json");
        rows.as_array()
            .unwrap()
            .iter()
            .map(|r| r["score"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(scores("hand"), ["log_px", "max_py", "grad_norm", "joint"]);
    assert_eq!(
        scores("hand --temperature 2"),
        ["log_px", "max_py", "grad_norm", "energy", "joint"]
    );
}

#[test]
fn score_adds_columns_of_a_classifier() {
    let bench = imported(CLASSIFIER, &W);
    let line = "score hand x.npy --scores max_py,joint,grad_norm,energy,log_px --probabilities";
    let rows = table(&bench.succeeds(&format!("{line} --temperature 2")));
    let lines = bench.succeeds(&format!("{line} --temperature 2 --format jsonl"));
    let objects: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((rows.len(), objects.len()), (3, 3));
    for ((row, object), x) in rows.iter().zip(objects).zip(X) {
        let f = logits(x);
        let p = f.map(|v| (v - logsumexp(f)).exp());
        let class = (0..3).max_by(|a, b| f[*a].total_cmp(&f[*b])).unwrap();
        let slope = |i: usize| (0..3).map(|y| p[y] * f64::from(W[y][i])).sum::<f64>();
        assert_near(&row["energy"], -logsumexp(f));
        assert!(!row.contains_key("log_px"), "a number stands under one name");
        assert_near(&row["max_py"], -p[class]);
        assert_near(&row["joint"], -f[class]);
        assert_near(&row["grad_norm"], slope(0).hypot(slope(1)));
        assert_near(&row["energy(T=2)"], -2.0 * logsumexp(f.map(|v| v / 2.0)));
        assert_eq!(row["class"], class.to_string());
        for (y, p) in p.iter().enumerate() {
            assert_near(&row[&format!("p({y})")], *p);
            assert_near(&object["probabilities"][y].to_string(), *p);
        }
        assert_eq!(object["class"], class.to_string());
        for score in ["max_py", "joint", "grad_norm", "energy(T=2)"] {
            assert_near(&row[score], object[score].as_f64().unwrap());
        }
    }
    let plain = bench.succeeds("score hand x.npy --scores energy");
    assert!(
        plain.starts_with("path,index,energy,class\n"),
        "at temperature 1 that is the energy:\n{plain}"
    );
    let noisy = |seed: u64| bench.succeeds(&format!("score hand x.npy --noise 0.1 --seed {seed}"));
    assert!(noisy(1) != plain && noisy(1) == noisy(1) && noisy(1) != noisy(2));
}

#[test]
fn score_names_the_classes_of_the_data() {
    let bench = Bench::new();
    let model = fs::read_to_string(bench.path("tiny_model.yaml")).unwrap();
    let model = model
        .replace("name: tiny", "name: tiny\noutput: logits")
        .replace("linear: {out: 1}", "linear: {out: 2}");
    fs::write(bench.path("tiny_model.yaml"), model).unwrap();
    bench.succeeds("train tiny.yaml --out run --set train.steps=1");
    bench.succeeds("sample run -n 2 --steps 1 --out stack.npy");
    let out = bench.succeeds("score run stack.npy --probabilities --scores typicality");
    assert!(
        out.starts_with("path,index,energy,class,typicality,p(stroke),p(disc)\n"),
        "{out}"
    );
    for row in table(&out) {
        let p: Vec<f64> = ["p(stroke)", "p(disc)"].map(|c| row[c].parse().unwrap()).into();
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12);
        assert_eq!(row["class"], if p[0] > p[1] { "stroke" } else { "disc" });
    }
    bench.succeeds("ood run --bootstrap 0 --limit 6");
    for score in ["log_px", "max_py", "grad_norm", "joint", "typicality"] {
        assert!(bench.path(&format!("run/ood/{score}.png")).is_file(), "{score}");
    }
}

#[test]
fn a_threshold_is_fitted_stored_and_used() {
    let bench = imported(PLAIN, &[[1.0, 0.0]]);
    // E(x) is the first pixel: 0, 1, ..., 19 of 255.
    let levels: Vec<u8> = (0..20).flat_map(|i| [i, 0]).collect();
    ebm::report::npy(&Tensor::from_slice(&levels).view([20, 1, 1, 2]), &bench.path("in.npy")).unwrap();
    let out = bench.succeeds("threshold hand --score log_px --tpr 0.9 --on in.npy");
    assert!(
        out.contains("-log p(x)") && out.contains("0.9000 of 20 images") && out.ends_with("hand/threshold.json\n"),
        "{out}"
    );
    let stored = json(&bench, "hand/threshold.json");
    // At least 0.9 of twenty are eighteen: up to level 17.
    assert_near(&stored["threshold"].to_string(), 17.0 / 127.5 - 1.0);
    let kept: [(&str, Value); 5] = [
        ("score", "log_px".into()),
        ("tpr", 0.9.into()),
        ("accepted", 0.9.into()),
        ("on", "in.npy".into()),
        ("images", 20.into()),
    ];
    for (key, value) in kept {
        assert_eq!(stored[key], value, "{key}");
    }
    assert_eq!(
        (&stored["step"], &stored["weights"], &stored["noise"]),
        (&Value::from(0), &Value::from("ema"), &Value::from(0.0))
    );
    let scored = bench.ebm("score hand in.npy --threshold");
    assert_eq!(scored.status.code(), Some(4));
    let rows = table(&text(&scored.stdout));
    let verdicts: Vec<_> = rows.iter().map(|r| r["verdict"].as_str()).collect();
    assert_eq!(verdicts, [vec!["in"; 18], vec!["out"; 2]].concat());
    assert_near(&rows[3]["energy"], 3.0 / 127.5 - 1.0);
    assert!(!rows[3].contains_key("log_px"), "a number stands under one name");
    assert!(
        text(&scored.stderr).contains("2 of them out"),
        "{}",
        text(&scored.stderr)
    );
    let lines = bench.ebm("score hand in.npy --threshold --format jsonl");
    assert_eq!(lines.status.code(), Some(4));
    let last: Value = serde_json::from_str(text(&lines.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(last["verdict"], "out");
    ebm::report::npy(
        &Tensor::from_slice(&levels[..36]).view([18, 1, 1, 2]),
        &bench.path("all_in.npy"),
    )
    .unwrap();
    assert_eq!(bench.ebm("score hand all_in.npy --threshold").status.code(), Some(0));
    // A file that cannot be read counts for more than an image that is out.
    assert_eq!(
        bench.ebm("score hand in.npy nowhere.npy --threshold").status.code(),
        Some(1)
    );
    bench.fails(
        "score hand in.npy --threshold --noise 0.1",
        2,
        &["--threshold", "--noise"],
    );
}

#[test]
fn a_threshold_belongs_to_the_run_its_data_and_its_weights() {
    let bench = trained("--set train.checkpoint_every=2");
    bench.succeeds("sample run -n 6 --steps 1 --out stack.npy");
    bench.fails(
        "score run stack.npy --threshold",
        2,
        &["threshold.json", "ebm threshold"],
    );
    let out = bench.succeeds("threshold run --score typicality --noise 0.1 --seed 3");
    assert!(out.contains("of 10 images (validation"), "{out}");
    let stored = json(&bench, "run/threshold.json");
    assert!(
        stored["typical"].is_f64() && stored["noise"] == 0.1 && stored["seed"] == 3,
        "{stored}"
    );
    assert!(stored["accepted"].as_f64().unwrap() >= 0.95);
    let scored = bench.ebm("score run stack.npy --threshold");
    assert!(
        [0, 4].contains(&scored.status.code().unwrap()),
        "{}",
        text(&scored.stderr)
    );
    let rows = table(&text(&scored.stdout));
    let (mean, limit) = (
        stored["typical"].as_f64().unwrap(),
        stored["threshold"].as_f64().unwrap(),
    );
    for row in rows {
        let energy: f64 = row["energy"].parse().unwrap();
        assert_near(&row["typicality"], (energy + mean).abs());
        assert_eq!(
            row["verdict"],
            if (energy + mean).abs() <= limit { "in" } else { "out" }
        );
    }
    for other in ["--checkpoint 2", "--weights raw"] {
        bench.fails(
            &format!("score run stack.npy --threshold {other}"),
            2,
            &[
                "threshold.json",
                "ema weights of step 4",
                "--checkpoint 4 --weights ema",
            ],
        );
    }
    bench.succeeds("threshold run --score log_px --checkpoint 2 --weights raw");
    bench.fails("score run stack.npy --threshold", 2, &["raw weights of step 2"]);
    let again = bench.ebm("score run stack.npy --threshold --checkpoint 2 --weights raw");
    assert!(
        [0, 4].contains(&again.status.code().unwrap()),
        "{}",
        text(&again.stderr)
    );
    assert!(
        bench
            .succeeds("threshold run --score log_px --on test")
            .contains("of 12 images (test")
    );
    bench.succeeds("train tiny.yaml --out all --set train.steps=1 --set data.validation=0");
    bench.fails("threshold all --score log_px", 2, &["data.validation", "--on"]);
    bench.succeeds("threshold all --score log_px --on stack.npy");
}

/// Each line must be refused with code 2, and stderr name each of its words.
fn refused(bench: &Bench, lines: &[(&str, &[&str])]) {
    for (line, mentions) in lines {
        bench.fails(line, 2, mentions);
    }
}

#[test]
fn ood_refuses_scores_that_the_network_has_not() {
    let bench = trained("");
    let lines: &[(&str, &[&str])] = &[
        ("ood run --scores logpx", &["logpx", "log_px"]),
        ("ood run --scores max_py", &["max_py", "logits", "remedy"]),
        ("ood run --temperature 2", &["--temperature 2", "logits"]),
        ("ood run --temperature 0", &["0", "above 0"]),
        ("ood run --noise=-1", &["-1", "0 or more"]),
    ];
    refused(&bench, lines);
}

#[test]
fn ood_refuses_unknown_sets_and_files_that_cannot_be_written() {
    let bench = trained("");
    let lines: &[(&str, &[&str])] = &[
        ("ood run --against nowhere", &["`nowhere`", "fashion-mnist", "remedy"]),
        ("ood run --against uniform unifrom", &["`unifrom`", "uniform"]),
        (r#"ood run --against {"strokes":{"cuont":3}}"#, &["`cuont`", "`count`"]),
        (
            r#"ood run --against {"data":{"strokes":{"cuont":3}}}"#,
            &["`cuont`", "`count`"],
        ),
        ("ood run --against {strokes", &["{strokes", "YAML"]),
        ("ood run --against tiny.yaml", &["tiny.yaml", "stack"]),
        ("ood run --against run/checkpoints", &["run/checkpoints", "no picture"]),
        ("ood run --against svhn", &["svhn/test_32x32.mat"]),
        ("ood run --in uniform", &["`uniform`"]),
        ("ood run --json tiny.yaml/a.json", &["tiny.yaml", "cannot be written"]),
        ("ood run --csv run", &["run", "folder"]),
        ("ood run --out tiny.yaml", &["tiny.yaml", "cannot be written"]),
        ("ood nowhere", &["nowhere", "no such run"]),
    ];
    refused(&bench, lines);
}

#[test]
fn score_and_threshold_refuse_what_cannot_be() {
    let bench = trained("");
    bench.succeeds("sample run -n 2 --steps 1 --out stack.npy");
    let lines: &[(&str, &[&str])] = &[
        ("score run stack.npy --scores max_py", &["max_py", "logits"]),
        ("score run stack.npy --scores nothing", &["nothing", "typicality"]),
        ("score run stack.npy --probabilities", &["--probabilities", "logits"]),
        ("threshold run", &["--score"]),
        ("threshold run --score log_px --tpr 0", &["0", "at most 1"]),
        ("threshold run --score log_px --tpr 1.5", &["1.5", "at most 1"]),
        ("threshold run --score max_py", &["max_py", "logits"]),
        ("threshold run --score log_px --on nowhere", &["`nowhere`"]),
    ];
    refused(&bench, lines);
    assert!(!bench.path("run/threshold.json").exists());
}

#[test]
fn a_run_without_data_says_what_to_name() {
    let bench = imported(PLAIN, &[[1.0, 0.0]]);
    bench.fails("ood hand", 2, &["hand", "--in"]);
    bench.fails(
        "ood hand --in x.npy --scores typicality",
        2,
        &["typicality", "training images"],
    );
    bench.fails("threshold hand --score log_px", 2, &["none", "--on"]);
    bench.fails(
        "threshold hand --score typicality --on x.npy",
        2,
        &["typicality", "training images"],
    );
    bench.fails(
        "score hand x.npy --scores typicality",
        2,
        &["typicality", "training images"],
    );
    let bench = imported(CLASSIFIER, &W);
    bench.fails("ood hand --in x.npy --scores log_px --temperature 2", 2, &["`energy`"]);
    fs::write(bench.path("hand/threshold.json"), "{}").unwrap();
    bench.fails("score hand x.npy --threshold", 2, &["threshold.json"]);
}
