//! Sampling by class through the real binary, with what judges it and what is refused.

mod common;

use common::{Bench, CLASSIFIER};
use ebm::data::to_unit;
use ebm::energy::{Energy, FrozenEnergy, energy_and_grad};
use ebm::eval::Agreement;
use ebm::experiment::Experiment;
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use ebm::sampling::{KernelConfig, Starter};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A bench with a run of a network of two classes, stroke and disc.
fn bench() -> Bench {
    Bench::with_classifier(5)
}

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(bench.path(name)).unwrap()).unwrap()
}

/// u8 `[N,1,8,8]` of a stack that `ebm` wrote.
fn stack(bench: &Bench, name: &str) -> Tensor {
    let bytes = std::fs::read(bench.path(name)).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    Tensor::from_slice(&bytes[header..]).view([-1, 1, 8, 8])
}

fn frozen(bench: &Bench, run: &str) -> (Experiment, FrozenEnergy) {
    let trained = run::load(
        &RunDir::open(&bench.path(run)).unwrap(),
        Which::Last,
        Weights::Ema,
        Device::Cpu,
    )
    .unwrap();
    let temperature = trained.experiment.temperature();
    let energy = FrozenEnergy::new(trained.network().unwrap(), Kind::Float, temperature);
    (trained.experiment, energy)
}

/// Chains of the library's parts alone: starts, noise and kernel of the run, each step's logits weighed by `weights`.
fn by_hand(bench: &Bench, n: i64, steps: usize, weights: impl Fn(usize) -> Tensor) -> Tensor {
    struct Weighed<'a>(&'a FrozenEnergy, Tensor);
    impl Energy for Weighed<'_> {
        fn energy(&self, x: &Tensor) -> Tensor {
            let logits = self.0.network().forward(x);
            (logits * &self.1)
                .sum_dim_intlist([1i64].as_slice(), false, Kind::Float)
                .neg()
        }
    }
    let (experiment, energy) = frozen(bench, "run");
    let mut rng = Stream::new(0, "sample");
    let starter = Starter::new(&experiment.init(), &experiment.space(), None, Device::Cpu).unwrap();
    let mut x = starter.draw(n, None, &mut rng);
    let KernelConfig::Langevin(s) = &experiment.sampler().unwrap().kernel else {
        panic!("the recipe is Langevin's")
    };
    assert_eq!(
        (s.noise_scale, s.step_size),
        (Some(0.005), 10.0),
        "the recipe that is written out here"
    );
    for k in 1..=steps {
        rng.seed_next();
        let mut noise = x.empty_like();
        let _ = noise.normal_(0.0, 0.005);
        x = (x + noise).clamp(-1.0, 1.0);
        let grad = energy_and_grad(&Weighed(&energy, weights(k)), &x).grad;
        x = (x - grad.clamp(-0.03, 0.03) * 10.0).clamp(-1.0, 1.0);
    }
    ebm::data::to_u8(&x)
}

fn same(a: &Tensor, b: &Tensor) {
    let difference = (a.to_kind(Kind::Int) - b.to_kind(Kind::Int)).abs();
    // A rounding of f32 may fall on either side of a level.
    assert!(difference.max().int64_value(&[]) <= 1, "other images");
    assert!(difference.sum(Kind::Int64).int64_value(&[]) <= 2, "other images");
}

#[test]
fn chains_of_a_class_move_by_its_energy() {
    let bench = bench();
    let one_hot = |class: i64, n: i64| {
        Tensor::eye(2, (Kind::Float, Device::Cpu))
            .narrow(0, class, 1)
            .repeat([n, 1])
    };
    for (option, class) in [("--class disc", 1), ("--class 1", 1), ("--class stroke", 0)] {
        bench.succeeds(&format!("sample run -n 6 --steps 4 --out a.npy {option}"));
        same(&stack(&bench, "a.npy"), &by_hand(&bench, 6, 4, |_| one_hot(class, 6)));
    }
    bench.succeeds("sample run -n 3 --steps 4 --out all.npy --classes all");
    let rows = Tensor::cat(&[one_hot(0, 3), one_hot(1, 3)], 0);
    same(
        &stack(&bench, "all.npy"),
        &by_hand(&bench, 6, 4, |_| rows.shallow_clone()),
    );
    bench.succeeds("sample run -n 3 --steps 4 --out two.npy --classes disc,0");
    let rows = Tensor::cat(&[one_hot(1, 3), one_hot(0, 3)], 0);
    same(
        &stack(&bench, "two.npy"),
        &by_hand(&bench, 6, 4, |_| rows.shallow_clone()),
    );
    // Without classes: p(x), the sum over classes, as ever.
    bench.succeeds("sample run -n 6 --steps 4 --out any.npy");
    assert!(stack(&bench, "any.npy") != stack(&bench, "all.npy"));
}

#[test]
fn an_interpolation_goes_over_linearly_in_its_second_half() {
    let bench = bench();
    let out = bench.succeeds("sample run -n 3 --steps 9 --out way.npy --interpolate stroke,disc");
    // Steps 1 to 4 by E(x, stroke); steps 5 to 9 by w = 1/5, 2/5, ..., 1.
    let weights = |k: usize| {
        let w = (k.saturating_sub(4)) as f32 / 5.0;
        Tensor::from_slice(&[1.0 - w, w]).unsqueeze(0)
    };
    same(&stack(&bench, "way.npy"), &by_hand(&bench, 3, 9, weights));
    assert!(out.starts_with("way.npy\nway.interpolation.png\n"), "{out}");
    let strip = image::open(bench.path("way.interpolation.png")).unwrap();
    // Steps 4 to 9 of three chains, each 96 pixels wide, and gaps of 4.
    assert_eq!((strip.width(), strip.height()), (6 * 100 + 4, 3 * 100 + 4));
    let out = bench.succeeds("sample run -n 2 --steps 1 --out b.png --interpolate 1,0 --trace");
    assert!(
        out.starts_with("b.png\nb.film.gif\nb.strip.png\nb.interpolation.png\n"),
        "{out}"
    );
    bench.succeeds("sample run -n 2 --steps 0 --out c.npy --interpolate 1,0");
}

#[test]
fn grids_have_a_row_a_class_and_a_default_number_of_images() {
    let bench = bench();
    // Eighteen pixels for the name of the class beneath each image.
    let size = |name: &str, row: u32| {
        let grid = image::open(bench.path(name)).unwrap();
        ((grid.width() - 4) / 100, (grid.height() - 4) / row)
    };
    bench.succeeds("sample run -n 5 --steps 1 --out a.png --classes all");
    assert_eq!(size("a.png", 118), (5, 2));
    bench.succeeds("sample run --steps 1 --out b.png --classes all");
    assert_eq!(size("b.png", 118), (8, 2));
    bench.succeeds("sample run --steps 1 --out c.png --class 0");
    assert_eq!(size("c.png", 118), (8, 8));
    bench.succeeds("sample run --steps 1 --out d.png");
    assert_eq!(size("d.png", 100), (8, 8));
}

#[test]
fn what_the_model_and_a_judge_see_is_told() {
    let bench = bench();
    bench.succeeds("train tiny.yaml --set model=classes.yaml --set train.steps=1 --set seed=3 --out other");
    let out = bench
        .succeeds("sample run -n 20 --steps 30 --out a.npy --classes all --judge other --json figures/a.json --trace");
    assert!(
        out.contains("seen by the network that drew them") && out.contains("seen by other"),
        "{out}"
    );
    assert!(
        out.contains("\nstroke ") && out.contains("\ndisc ") && out.contains("\nall "),
        "{out}"
    );
    let figures = json(&bench, "figures/a.json");
    // What the network sees in images that its own chains sought for that is no measure, and is
    // told to be none.
    assert!(!out.contains("says nothing of the images"), "{out}");
    let alone = bench.succeeds("evaluate run --parts agreement -n 8 --steps 1 --json figures/b.json");
    assert!(
        alone.contains("its share says nothing of the images") && alone.contains("--judge RUN"),
        "{alone}"
    );
    for own in [&figures["own"], &json(&bench, "figures/b.json")["agreement"]["own"]] {
        assert_eq!(own["independent"], false, "{own}");
        assert!(own["judged_by"].as_str().unwrap().contains("drew the images"), "{own}");
    }
    assert_eq!(figures["judge"]["independent"], true);
    let images = to_unit(&stack(&bench, "a.npy"));
    for (view, run) in [("own", "run"), ("judge", "other")] {
        let logits = frozen(&bench, run).1.network().forward(&images);
        let share = |from: i64, class: i64| {
            let seen = logits.narrow(0, from, 20).argmax(1, false).eq(class);
            seen.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
        };
        let (stroke, disc) = (share(0, 0), share(20, 1));
        let found = &figures[view];
        assert_eq!(found["images"], 40);
        assert!((found["overall"].as_f64().unwrap() - (stroke + disc) / 2.0).abs() < 1e-12);
        assert_eq!(found["classes"][0]["class"], "stroke");
        assert!((found["classes"][0]["share"].as_f64().unwrap() - stroke).abs() < 1e-12);
        assert!((found["classes"][1]["share"].as_f64().unwrap() - disc).abs() < 1e-12);
    }
    assert_eq!(figures["judge"]["run"], "other");
    // Thirty steps downhill on E(x, y) of a network this simple: it sees what was asked for, nearly always.
    assert!(figures["own"]["overall"].as_f64().unwrap() > 0.9, "{figures}");
    assert_eq!(
        bench.succeeds("sample run -n 4 --steps 1 --out b.npy"),
        "b.npy\n",
        "nothing asked, nothing judged"
    );
}

#[test]
fn agreement_counts_by_hand() {
    let logits = Tensor::from_slice(&[1f32, 0., 0., 1., 0., 2., 5., 1., 0., 3.]).view([5, 2]);
    let asked = Tensor::from_slice(&[0i64, 0, 1, 1, 1]);
    let names = ["a".to_owned(), "b".to_owned()];
    let found = Agreement::new(&logits, &asked, &names).unwrap();
    assert_eq!((found.images, found.overall), (5, 0.6));
    let shares: Vec<_> = found.classes.iter().map(|c| (c.images, c.share)).collect();
    assert_eq!(shares, [(2, 0.5), (3, 2.0 / 3.0)]);
}

#[test]
fn what_does_not_fit_is_refused_before_a_chain_moves() {
    let bench = bench();
    bench.succeeds("train tiny.yaml --set train.steps=1 --out plain");
    bench.import("three", &CLASSIFIER.replace("linear: {out: 2}", "linear: {out: 3}"));
    bench.import("large", &CLASSIFIER.replace("8, 8", "10, 10"));
    bench.import("nameless", CLASSIFIER);
    for (options, mentions) in [
        ("run --class circle", vec!["run", "`circle`", "0 to 1", "stroke, disc"]),
        ("run --class 2", vec!["`2`", "0 to 1"]),
        ("run --class -1", vec!["-1"]),
        ("run --classes 0,2", vec!["`2`"]),
        ("run --classes 0,stroke", vec!["`stroke`", "twice"]),
        ("run --classes ,", vec!["no class ``"]),
        ("run --interpolate 0", vec!["--interpolate", "two"]),
        ("run --interpolate 1,1", vec!["twice"]),
        ("run --interpolate 0,1,0", vec!["twice"]),
        ("run --class 0 --classes 1", vec!["--class", "--classes"]),
        ("run --judge run", vec!["--class"]),
        ("run --json x.json", vec!["--class"]),
        ("plain --class 0", vec!["plain", "--class", "energy alone", "logits"]),
        ("plain --classes all", vec!["--classes"]),
        ("run --class 0 --judge plain", vec!["plain", "--judge", "logits"]),
        ("run --class 0 --judge nowhere", vec!["nowhere"]),
        ("run --class 0 --judge three", vec!["three", "3 classes", "of 2"]),
        ("run --class 0 --judge large", vec!["large", "[1, 10, 10]", "[1, 8, 8]"]),
        ("run --classes all -n 600000", vec!["-n", "1200000"]),
    ] {
        let long = format!("sample {options} --steps 1000000000000 --out x.npy");
        bench.fails(&long, 2, &mentions);
        assert!(!bench.path("x.npy").exists());
    }
    // A judge without names is taken by its numbers; so is a run.
    bench.succeeds("sample run --class 0 -n 2 --steps 1 --judge nameless --out y.npy");
    let out = bench.succeeds("sample nameless --class 1 -n 2 --steps 1 --judge run --out y.npy");
    assert!(out.contains("\n1 "), "{out}");
    bench.fails("sample nameless --class disc --steps 1", 2, &["`disc`", "0, 1"]);
}

#[test]
fn a_buffer_by_class_gives_chains_of_the_asked_class() {
    let bench = Bench::with_classifier(1);
    let by_class = "--set model=classes.yaml --set objective.chains=by-class --set objective.p_x_weight=0 --set objective.p_x_given_y_weight=1 --set data.labels_per_class=9";
    bench.succeeds(&format!("train tiny.yaml {by_class} --set train.steps=3 --out byclass"));
    let named = ebm::files::read(&bench.path("byclass/checkpoints/step-3/buffer.safetensors")).unwrap();
    let chains = ebm::data::to_u8(&named["chains"]);
    // 32 slots, the first half strokes.
    let slot = |image: &Tensor| {
        (0..32)
            .find(|s| chains.get(*s) == *image)
            .expect("a chain of the buffer")
    };
    let drawn = |options: &str| -> Vec<i64> {
        bench.succeeds(&format!("sample byclass --from buffer --steps 0 --out x.npy {options}"));
        let images = stack(&bench, "x.npy");
        (0..images.size()[0]).map(|i| slot(&images.get(i))).collect()
    };
    let distinct = |slots: &[i64]| slots.iter().collect::<std::collections::BTreeSet<_>>().len();
    let discs = drawn("--class disc -n 12");
    assert!(discs.iter().all(|s| *s >= 16) && distinct(&discs) == 12, "{discs:?}");
    let both = drawn("--classes disc,stroke -n 16");
    assert!(
        both[..16].iter().all(|s| *s >= 16) && both[16..].iter().all(|s| *s < 16),
        "{both:?}"
    );
    assert_eq!(distinct(&both), 32);
    assert!(drawn("--interpolate stroke,disc -n 5").iter().all(|s| *s < 16));
    // Without a class asked for, any chain.
    let any = drawn("-n 32");
    assert_eq!(distinct(&any), 32);
    bench.fails(
        "sample byclass --from buffer --class disc -n 17",
        2,
        &["16 chains of class 1", "17"],
    );
    bench.fails("sample byclass --from buffer -n 33", 2, &["32 chains", "33"]);
    // Chains that draw their class are of the class that the network sees in them.
    let with_class = "--set model=classes.yaml --set objective.chains=with-class --set objective.p_y_given_x_weight=1 --set train.steps=3 --out withclass";
    bench.succeeds(&format!("train tiny.yaml {with_class}"));
    bench.succeeds("sample withclass --from buffer --steps 0 --out w.npy -n 32");
    let classes = |name: &str| -> Vec<String> {
        let lines = bench.succeeds(&format!("score withclass {name} --format jsonl"));
        let class = |l: &str| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["class"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        lines.lines().map(class).collect()
    };
    let all = classes("w.npy");
    for class in ["stroke", "disc"] {
        let there = all.iter().filter(|c| *c == class).count();
        if there > 0 {
            bench.succeeds(&format!(
                "sample withclass --from buffer --steps 0 --class {class} -n {there} --out c.npy"
            ));
            assert!(classes("c.npy").iter().all(|c| c == class));
        }
        bench.fails(
            &format!(
                "sample withclass --from buffer --steps 0 --class {class} -n {} --out c.npy",
                there + 1
            ),
            2,
            &[&format!("{there} chains of class")],
        );
    }
    // A buffer of chains without classes gives what it has.
    bench.succeeds("sample run --from buffer --class disc -n 32 --steps 0 --out y.npy");
}
