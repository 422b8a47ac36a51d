//! `ebm evaluate` through the real binary: its figures against the library's, what they are called, what is refused.

mod common;

use common::{Bench, CLASSIFIER, text};
use ebm::data::{self, DataSet, to_u8};
use ebm::eval::{Features, Moments, Quality, ScriptInput, frechet_distance, frechet_name};
use ebm::nn::Frozen;
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const QUICK: &str = "-n 20 --steps 2";
const STROKES: &str = r#"--data {"strokes":{"count":100,"size":8}}"#;

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(bench.path(name)).unwrap()).unwrap()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

fn network(bench: &Bench, run: &str) -> Frozen {
    let run = RunDir::open(&bench.path(run)).unwrap();
    let trained = run::load(&run, Which::Last, Weights::Ema, Device::Cpu).unwrap();
    trained.network().unwrap().frozen(Kind::Float)
}

fn images(bench: &Bench) -> DataSet {
    let experiment = RunDir::open(&bench.path("run")).unwrap().experiment().unwrap();
    data::open(&experiment.data, [1, 8, 8], Device::Cpu).unwrap()
}

fn script(name: &str) -> String {
    format!("{}/tests/golden/script_{name}.pt", env!("CARGO_MANIFEST_DIR"))
}

fn is_png(bench: &Bench, name: &str) -> bool {
    std::fs::read(bench.path(name)).is_ok_and(|b| b.starts_with(b"\x89PNG"))
}

#[test]
fn a_classifier_is_measured_on_its_test_images() {
    let bench = Bench::with_classifier(60);
    let out = bench.succeeds(&format!("evaluate run {QUICK} --json figures/f.json"));
    let figures = json(&bench, "figures/f.json");
    assert_eq!(figures, json(&bench, "run/evaluate/evaluation.json"));
    let test = images(&bench).test;
    let logits = network(&bench, "run").forward(&test.chunk(0, 1000));
    let labels = test.labels.unwrap();
    let log_probs = logits.log_softmax(1, Kind::Double);
    let right = logits
        .argmax(1, false)
        .eq_tensor(&labels)
        .to_kind(Kind::Double)
        .mean(Kind::Double)
        .double_value(&[]);
    let nll = -log_probs
        .gather(1, &labels.unsqueeze(1), false)
        .mean(Kind::Double)
        .double_value(&[]);
    assert!(right > 0.6, "the classifier learned nothing: {right}");
    assert!((number(&figures["accuracy"]) - right).abs() < 1e-12);
    assert!((number(&figures["nll"]) - nll).abs() < 1e-9);
    for name in ["ece", "ece_mass", "brier"] {
        assert!((0.0..2.0).contains(&number(&figures[name])), "{name}");
    }
    assert_eq!(
        (&figures["run"], &figures["step"], &figures["data"]),
        (&"run".into(), &60.into(), &"strokes".into())
    );
    assert_eq!(figures["weights"], "ema");
    assert_eq!(figures["classification"]["images"], 12);
    let confusion = &figures["classification"]["confusion"];
    let total: f64 = (0..2)
        .flat_map(|i| (0..2).map(move |j| (i, j)))
        .map(|(i, j)| number(&confusion[i][j]))
        .sum();
    assert_eq!(total, 12.0);
    for picture in ["reliability.png", "confusion.png", "samples.png"] {
        assert!(is_png(&bench, &format!("run/evaluate/{picture}")), "{picture}");
        assert!(out.contains(&format!("run/evaluate/{picture}\n")), "{out}");
    }
    assert!(
        out.contains("classification of strokes, 12 test images") && !out.contains("noise of"),
        "{out}"
    );
    assert!(
        out.contains("Frechet distance in the features of the run's own network, run, 20 samples"),
        "{out}"
    );
    assert!(out.contains("Inception-style score in the classes of the run's own network") && !out.contains("FID"));
}

#[test]
fn noise_limit_seed_weights_and_folder_do_what_they_say() {
    let bench = Bench::with_classifier(30);
    let measure = |options: &str| {
        let out = bench.succeeds(&format!("evaluate run --parts classification {options} --json f.json"));
        (out, json(&bench, "f.json"))
    };
    let (_, plain) = measure("");
    assert!(plain.get("quality").is_none(), "only the part that was named");
    let (out, noisy) = measure("--noise 0.5 --out elsewhere");
    assert!(
        out.contains("noise of 0.5 added") && is_png(&bench, "elsewhere/confusion.png"),
        "{out}"
    );
    assert_eq!(noisy["classification"]["noise"], 0.5);
    assert!(noisy["nll"] != plain["nll"]);
    assert_eq!(
        measure("--noise 0.5").1["nll"],
        noisy["nll"],
        "the same seed, the same noise"
    );
    assert!(measure("--noise 0.5 --seed 1").1["nll"] != noisy["nll"]);
    let (_, few) = measure("--limit 5");
    assert_eq!(few["classification"]["images"], 5);
    // Drawn, not the first ones or every second one: both classes are there, whatever their order in the set.
    assert!(
        few["classification"]["class_accuracy"]
            .as_array()
            .unwrap()
            .iter()
            .all(|a| !a.is_null()),
        "{few}"
    );
    assert_eq!(measure("--weights raw").1["weights"], "raw");
}

#[test]
fn a_run_without_classes_is_measured_by_its_samples() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --set train.steps=3 --out run");
    let out = bench.ebm(&format!("evaluate run {QUICK}"));
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("classification is left out"),
        "{}",
        text(&out.stderr)
    );
    let stdout = text(&out.stdout);
    assert!(
        stdout.contains("fixed random convolutional network (never trained"),
        "{stdout}"
    );
    assert!(!stdout.contains("Inception"), "{stdout}");
    let figures = json(&bench, "run/evaluate/evaluation.json");
    assert_eq!(figures["quality"]["features"]["count"], 128);
    let random = Features::random([1, 8, 8], Device::Cpu).unwrap();
    assert_eq!(
        figures["quality"]["features"]["sha256"],
        random.sha256.as_str(),
        "the same network every time"
    );
    for part in ["classification", "robustness", "agreement"] {
        bench.fails(&format!("evaluate run --parts {part}"), 2, &["--parts", part, "logits"]);
    }
    bench.fails("evaluate run --by-class", 2, &["--by-class", "logits"]);
    bench.fails("evaluate run --parts qualty", 2, &["qualty", "quality"]);
}

#[test]
fn samples_that_are_the_reference_are_perfect_and_others_are_not() {
    let bench = Bench::with_classifier(30);
    let set = images(&bench);
    let pixels = &set.test.pixels;
    ebm::report::npy(pixels, &bench.path("same.npy")).unwrap();
    ebm::report::images_to_folder(pixels, &bench.path("same")).unwrap();
    let noise = to_u8(&Stream::new(1, "x").uniform(&[30, 1, 8, 8], -1.0, 1.0, Device::Cpu));
    ebm::report::npy(&noise, &bench.path("noise.npy")).unwrap();
    let measure = |options: &str| {
        let out = bench.succeeds(&format!("evaluate run --parts quality --json f.json {options}"));
        (out, json(&bench, "f.json")["quality"].clone())
    };
    for features in ["own", "random", "run"] {
        for samples in ["same.npy", "same"] {
            let (_, figures) = measure(&format!("--samples {samples} --features {features}"));
            assert!(number(&figures["frechet_distance"]).abs() < 1e-6, "{figures}");
            for name in ["precision", "recall", "coverage"] {
                assert_eq!(figures[name], 1.0, "{name}");
            }
            assert_eq!((&figures["samples"], &figures["neighbours"]), (&12.into(), &12.into()));
        }
    }
    let (out, figures) = measure("--samples noise.npy --features own --reference train");
    assert!(
        number(&figures["frechet_distance"]) > 0.1 && number(&figures["coverage"]) < 0.5,
        "{figures}"
    );
    assert!(
        out.contains("from noise.npy") && out.contains("50 training images of strokes"),
        "{out}"
    );
    // The distance by hand, in the features of the run's own network.
    let own = network(&bench, "run");
    let moments = |pixels: &Tensor| {
        let features = own.features(&data::to_unit(pixels));
        let mut moments = Moments::new(features.size()[1] as usize, Device::Cpu);
        moments.add(&features).unwrap();
        moments
    };
    let by_hand = frechet_distance(&moments(&set.train.pixels), &moments(&noise)).unwrap();
    assert!(
        (number(&figures["frechet_distance"]) / by_hand - 1.0).abs() < 1e-6,
        "{figures} {by_hand}"
    );
    ebm::report::npy(&noise.narrow(0, 0, 5), &bench.path("few.npy")).unwrap();
    ebm::report::npy(&noise.narrow(2, 0, 7), &bench.path("small.npy")).unwrap();
    for (options, mentions) in [
        ("--samples few.npy", vec!["samples", "5 images", "too few"]),
        ("-n 5", vec!["5 images", "too few"]),
        ("--limit 3", vec!["reference", "3 images", "too few"]),
        ("--samples small.npy", vec!["small.npy", "7"]),
        ("--samples nowhere.npy", vec!["nowhere.npy"]),
        ("--samples same.npy --from buffer", vec!["--samples", "--from"]),
        ("--from buffer -n 33", vec!["32 chains", "33"]),
        ("--by-class=maybe", vec!["--by-class", "maybe"]),
    ] {
        bench.fails(&format!("evaluate run --parts quality {options}"), 2, &mentions);
    }
    let (out, figures) = measure("--from buffer -n 30");
    assert!(
        out.contains("chains of 0 steps from persistent chains of the checkpoint's buffer") && figures["samples"] == 30,
        "{out}"
    );
    let (out, _) = measure("--by-class -n 11 --steps 1");
    assert!(
        out.contains("chains of 1 steps from noise, every pixel uniform in [-1, 1], by class"),
        "{out}"
    );
    // Chains that were trained by class are also sampled so, unless it is refused.
    bench.succeeds(
        "train tiny.yaml --set model=classes.yaml --set objective.chains=by-class --set objective.p_x_weight=0 --set objective.p_x_given_y_weight=1 --set train.steps=1 --out k",
    );
    for (options, by_class) in [("", true), ("--by-class=false", false), ("--from buffer", true)] {
        let out = bench.succeeds(&format!("evaluate k --parts quality -n 20 --steps 1 {options}"));
        assert_eq!(out.contains(", by class"), by_class, "{options}: {out}");
    }
}

/// 400 references class after class, 40 samples of both: the neighbours are looked for among references of both.
#[test]
fn neighbours_are_drawn_from_all_of_a_sorted_reference() {
    let mut rng = Stream::new(1, "features");
    let mut cluster = |n: i64, at: f64| rng.normal(&[n, 2], Device::Cpu) + at;
    let real = Tensor::cat(&[cluster(200, 0.0), cluster(200, 100.0)], 0);
    let samples = Tensor::cat(&[cluster(20, 0.0), cluster(20, 100.0)], 0);
    let found = Quality::new(&real, &samples).unwrap();
    assert_eq!(found.neighbours, 40);
    // Each would be near 0.5, were the first forty of one class.
    let (precision, recall) = (found.precision_recall.precision, found.precision_recall.recall);
    assert!(precision > 0.8 && recall > 0.8, "{found:?}");
    assert!(found.density_coverage.coverage > 0.8, "{found:?}");
    assert_eq!(
        found,
        Quality::new(&real, &samples).unwrap(),
        "the same draw every time"
    );
}

#[test]
fn a_torchscript_network_gets_the_images_that_are_stated() {
    let golden: Value = serde_json::from_str(include_str!("golden/script.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let whole = |v: &Value| v.as_i64().unwrap();
        let input = ScriptInput {
            channels: whole(&case["to"]),
            size: Some([whole(&case["size"][0]), whole(&case["size"][1])]),
            range: [number(&case["range"][0]), number(&case["range"][1])],
        };
        let features = Features::script(script("identity").as_ref(), input, false, Device::Cpu).unwrap();
        let c = whole(&case["channels"]);
        let levels = (Tensor::arange(2 * c * 30, (Kind::Int64, Device::Cpu)) * 89 + 31).remainder(256);
        let images = levels.view([2, c, 6, 5]).to_kind(Kind::Uint8);
        let expected: Vec<Vec<f64>> = serde_json::from_value(case["features"].clone()).unwrap();
        for batch in [1, 2] {
            let found = features.of(&images, batch).unwrap();
            assert_eq!(found.size(), [2, expected[0].len() as i64]);
            let found: Vec<f64> = Vec::try_from(found.to_kind(Kind::Double).view(-1)).unwrap();
            let span = input.range[1] - input.range[0];
            let error = found
                .iter()
                .zip(expected.iter().flatten())
                .map(|(a, b)| (a - b).abs() / span);
            // Some roundings of f32 numbers up to 1.
            assert!(error.fold(0.0, f64::max) < 2e-6, "{case}");
        }
    }
}

#[test]
fn a_distance_is_called_fid_only_where_it_is_one() {
    assert_eq!(frechet_name("x", true, 50_000), "FID");
    assert_eq!(
        frechet_name("x.pt", true, 49_999),
        "Frechet distance in the features of x.pt, 49999 samples"
    );
    assert_eq!(
        frechet_name("x.pt", false, 50_000),
        "Frechet distance in the features of x.pt, 50000 samples"
    );
    let bench = Bench::with_classifier(3);
    let identity = script("identity");
    // 1 x 32 x 64 numbers as they come: as many as Inception has.
    // What is no probability is refused next, and nothing is computed with 2048 features.
    let wide = format!("--features {identity} --feature-input 1x32x64 --inception --class-probabilities {identity}");
    bench.fails(
        &format!("evaluate run --parts quality {QUICK} {wide}"),
        2,
        &["class probabilities"],
    );
    let narrow = format!("--features {identity} --inception");
    bench.fails(
        &format!("evaluate run --parts quality {QUICK} {narrow}"),
        2,
        &["192 features", "2048", "--inception"],
    );
    bench.fails(
        "evaluate run --inception --features own",
        2,
        &["--inception", "TorchScript"],
    );
    bench.fails("evaluate run --inception", 2, &["--features"]);
}

#[test]
fn class_probabilities_come_only_from_where_they_are_told_to() {
    let bench = Bench::with_classifier(3);
    let [identity, classes] = ["identity", "classes"].map(script);
    let base = format!("evaluate run --parts quality {QUICK} --json f.json --feature-range 0,1");
    let out = bench.succeeds(&format!("{base} --features {identity}"));
    assert!(!out.contains("score"), "{out}");
    bench.succeeds(&format!("{base} --features {identity} --class-probabilities {classes}"));
    let quality = &json(&bench, "f.json")["quality"];
    assert_eq!(
        quality["name"],
        format!("Frechet distance in the features of {identity}, 20 samples")
    );
    let bytes = std::fs::read(&identity).unwrap();
    assert_eq!(quality["features"]["sha256"], ebm::files::sha256(&bytes).as_str());
    let score = &quality["score"];
    assert!((1.0..3.0).contains(&number(&score["mean"])), "{score}");
    assert_eq!(
        (&score["network"], &score["splits"]),
        (&classes.as_str().into(), &10.into())
    );
    bench.fails(&format!("{base} --class-probabilities {identity}"), 2, &["probabilit"]);
}

#[test]
fn networks_of_features_that_cannot_be_used_are_refused_before_a_chain_moves() {
    let bench = Bench::with_classifier(3);
    bench.import("large", &CLASSIFIER.replace("8, 8", "10, 10"));
    std::fs::write(bench.path("text.pt"), "not a network").unwrap();
    let scalar = script("scalar");
    let identity = script("identity");
    for (options, mentions) in [
        ("--features text.pt".to_owned(), vec!["text.pt", "TorchScript"]),
        ("--features nowhere.pt".to_owned(), vec!["nowhere.pt", "no such file"]),
        ("--features large".to_owned(), vec!["large", "[1, 10, 10]", "[1, 8, 8]"]),
        (format!("--features {scalar}"), vec!["script_scalar.pt", "[B,D]"]),
        (
            format!("--features {identity} --feature-input 3x0x8"),
            vec!["3x0x8", "3x299x299"],
        ),
        (format!("--features {identity} --feature-range 1,0"), vec!["1,0"]),
        ("--class-probabilities text.pt".to_owned(), vec!["text.pt"]),
    ] {
        let line = format!("evaluate run --parts quality --steps 1000000000000 {options}");
        bench.fails(&line, 2, &mentions);
        assert!(!bench.path("run/evaluate").exists(), "{options}");
    }
}

#[test]
fn imported_runs_are_measured_on_data_that_are_named() {
    let bench = Bench::new();
    bench.import("given", CLASSIFIER);
    bench.import("three", &CLASSIFIER.replace("linear: {out: 2}", "linear: {out: 3}"));
    bench.fails("evaluate given", 2, &["given", "--data"]);
    let out = bench.succeeds(&format!("evaluate given {QUICK} {STROKES}"));
    assert!(out.contains("classification of strokes, 20 test images"), "{out}");
    bench.fails(
        &format!("evaluate three {STROKES}"),
        2,
        &["strokes", "2 classes", "3 apart"],
    );
    bench.fails("evaluate given --data nowhere", 2, &["nowhere"]);
    ebm::report::npy(
        &Tensor::zeros([40, 1, 8, 8], (Kind::Uint8, Device::Cpu)),
        &bench.path("blank.npy"),
    )
    .unwrap();
    bench.fails("evaluate given --data blank.npy", 2, &["blank.npy", "no labels"]);
    bench.fails("evaluate nowhere", 2, &["nowhere", "no such run"]);
}

#[test]
fn accuracy_under_attack_starts_at_the_clean_one_and_falls() {
    let bench = Bench::with_classifier(60);
    let base = "evaluate run --parts classification,robustness --attack-steps 5 --restarts 2 --json f.json";
    let out = bench.succeeds(&format!("{base} --linf 64/255,1/255,0.5 --l2 4"));
    let figures = json(&bench, "f.json");
    let curve = |i: usize| -> Vec<(f64, f64)> {
        let points = figures["robustness"]["curves"][i]["points"].as_array().unwrap();
        points
            .iter()
            .map(|p| (number(&p["epsilon"]), number(&p["accuracy"])))
            .collect()
    };
    let linf = curve(0);
    let radii: Vec<f64> = linf.iter().map(|p| p.0).collect();
    assert_eq!(radii, [0.0, 1.0 / 255.0, 64.0 / 255.0, 0.5]);
    for points in [&linf, &curve(1)] {
        assert_eq!(points[0].1, number(&figures["accuracy"]));
        assert!(points.windows(2).all(|p| p[1].1 <= p[0].1), "{points:?}");
        assert!(points.last().unwrap().1 < points[0].1, "{points:?}");
    }
    assert!(
        out.contains("units of images in [0, 1], twice that in [-1, 1]") && out.contains("\n64/255 "),
        "{out}"
    );
    assert!(out.contains("no defence"), "{out}");
    assert!(is_png(&bench, "run/evaluate/robustness_linf.png") && is_png(&bench, "run/evaluate/robustness_l2.png"));
    let defended = "--l2 0.5 --refine 2 --chains 3 --noise 0.1 --draws 2 --through classifier --limit 6";
    let out = bench.succeeds(&format!("{base} {defended}"));
    assert!(
        out.contains("2 Langevin steps") && out.contains("noise of 0.1") && out.contains("3 chains"),
        "{out}"
    );
    assert!(out.contains("through the classifier alone"), "{out}");
    let first = json(&bench, "f.json");
    assert_eq!(
        first["robustness"]["curves"].as_array().unwrap().len(),
        1,
        "only the norm that is named"
    );
    assert_eq!(first["robustness"]["refine"], 2);
    bench.succeeds(&format!("{base} {defended}"));
    assert_eq!(json(&bench, "f.json"), first, "the same seed, the same figures");
    for radii in ["0", "-1", "8/0", "x", "1/2/3"] {
        bench.fails(
            &format!("evaluate run --parts robustness --linf={radii}"),
            2,
            &["--linf"],
        );
    }
    bench.fails("evaluate run --parts robustness --restarts 0", 2, &["--restarts"]);
    // The proximal sampler's inner steps have no graph: an attack can only go around them.
    let inner = r#"--set sampler.inner={"steps":2,"step_size":1} --set train.steps=1 --out inner"#;
    bench.succeeds(&format!("train tiny.yaml --set model=classes.yaml {inner}"));
    let refined = "evaluate inner --parts robustness --l2 0.5 --attack-steps 1 --restarts 1 --refine 1";
    bench.fails(refined, 2, &["--through", "sampler.kernel.langevin"]);
    bench.succeeds(&format!("{refined} --through classifier"));
    bench.fails("evaluate run --noise=-1", 2, &["--noise"]);
}

#[test]
fn agreement_of_images_by_class_is_measured() {
    let bench = Bench::with_classifier(20);
    bench.succeeds("train tiny.yaml --set model=classes.yaml --set train.steps=1 --out other");
    let line = "evaluate run --parts agreement,quality --by-class -n 13 --steps 20 --judge other --json f.json";
    let out = bench.succeeds(line);
    assert!(
        out.contains("seen by other") && out.contains("13 images synthesised by class"),
        "{out}"
    );
    let figures = json(&bench, "f.json");
    let own = &figures["agreement"]["own"];
    // Classes take turns.
    assert_eq!(
        (&own["classes"][0]["images"], &own["classes"][1]["images"]),
        (&7.into(), &6.into())
    );
    assert!((0.0..=1.0).contains(&number(&figures["agreement"]["judge"]["overall"])));
    assert_eq!(figures["quality"]["samples"], 13);
    bench.fails("evaluate run --parts agreement --judge nowhere", 2, &["nowhere"]);
}
