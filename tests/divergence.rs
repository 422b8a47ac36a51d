//! Divergence: what the guard counts as one, and what a run does about it.

mod common;

use common::Bench;
use ebm::experiment::GuardConfig;
use ebm::run::{Cause, Divergence};
use ebm::train::Guard;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn config() -> GuardConfig {
    GuardConfig {
        every: 1,
        max_abs_energy: 100.0,
        grad_norm_factor: 10.0,
        grad_norm_patience: 3,
        ..GuardConfig::default()
    }
}

fn scalar(v: f64) -> Tensor {
    Tensor::from(v).to_kind(Kind::Float)
}

/// Two images' energies.
fn energies(v: f64) -> Tensor {
    Tensor::from_slice(&[0.0, v]).to_kind(Kind::Float)
}

fn weights() -> Vec<(String, Tensor)> {
    vec![("w".into(), Tensor::ones([2], (Kind::Float, Device::Cpu)))]
}

/// One step with these numbers, and a look.
fn step(guard: &mut Guard, pos: f64, neg: f64, loss: f64, norm: f64) -> Option<Divergence> {
    guard.watch(&[energies(pos), energies(neg)], &scalar(loss), &scalar(norm));
    guard.look(1, &weights())
}

fn healthy(guard: &mut Guard, norm: f64) -> Option<Divergence> {
    step(guard, 0.1, -0.1, 0.2, norm)
}

#[test]
fn each_number_alone_trips_it() {
    let fresh = || Guard::new(&config(), Device::Cpu);
    let cause = |d: Option<Divergence>| d.expect("a divergence").cause;
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(cause(step(&mut fresh(), bad, 0.0, 0.0, 1.0)), Cause::Energy);
        assert_eq!(cause(step(&mut fresh(), 0.0, bad, 0.0, 1.0)), Cause::Energy);
        assert_eq!(cause(step(&mut fresh(), 0.0, 0.0, bad, 1.0)), Cause::Loss);
        assert_eq!(cause(step(&mut fresh(), 0.0, 0.0, 0.0, bad.abs())), Cause::Gradient);
        let mut guard = fresh();
        guard.watch(&[energies(0.0), energies(0.0)], &scalar(0.0), &scalar(1.0));
        let weights = vec![("ok".to_owned(), scalar(1.0)), ("w".to_owned(), energies(bad))];
        assert!(guard.judge_now(1, &weights).is_some());
        assert_eq!(cause(guard.look(1, &weights)), Cause::Weight);
    }
    for side in [100.1, -100.1] {
        assert_eq!(cause(step(&mut fresh(), side, 0.0, 0.0, 1.0)), Cause::EnergyBound);
        assert_eq!(cause(step(&mut fresh(), 0.0, side, 0.0, 1.0)), Cause::EnergyBound);
    }
    assert_eq!(step(&mut fresh(), 99.9, -99.9, 1e9, 1.0), None);
}

#[test]
fn one_bad_step_marks_the_whole_interval_and_only_that() {
    let mut guard = Guard::new(&config(), Device::Cpu);
    for bad in [0.0, f64::NAN, 0.0, 0.0] {
        guard.watch(&[energies(bad), energies(0.0)], &scalar(0.0), &scalar(1.0));
    }
    assert_eq!(
        guard.look(4, &weights()).map(|d| (d.step, d.cause)),
        Some((4, Cause::Energy))
    );
    assert_eq!(healthy(&mut guard, 1.0), None);
}

#[test]
fn growth_trips_after_its_patience_and_not_before() {
    let mut guard = Guard::new(&config(), Device::Cpu);
    for i in 0..20 {
        assert_eq!(healthy(&mut guard, 1.0 + 0.01 * f64::from(i)), None);
    }
    for _ in 0..10 {
        // Two looks beyond the factor, then one within it: never three on end.
        assert_eq!(healthy(&mut guard, 50.0), None);
        assert_eq!(healthy(&mut guard, 50.0), None);
        assert_eq!(healthy(&mut guard, 1.0), None);
    }
    assert_eq!(healthy(&mut guard, 50.0), None);
    assert_eq!(healthy(&mut guard, 50.0), None);
    let seen = healthy(&mut guard, 50.0).expect("the third on end");
    assert_eq!(seen.cause, Cause::GradientGrowth);
    assert!((1.0..1.3).contains(&seen.reading.median_grad_norm.unwrap()), "{seen:?}");
}

#[test]
fn a_norm_below_the_factor_never_trips_and_the_first_looks_have_no_median() {
    let mut guard = Guard::new(&config(), Device::Cpu);
    assert_eq!(healthy(&mut guard, 1e6), None);
    let mut guard = Guard::new(&config(), Device::Cpu);
    for i in 0..300 {
        assert_eq!(healthy(&mut guard, if i % 2 == 0 { 1.0 } else { 9.0 }), None);
    }
}

#[test]
fn a_restored_history_judges_the_same() {
    let mut guard = Guard::new(&config(), Device::Cpu);
    (0..10).for_each(|_| assert_eq!(healthy(&mut guard, 1.0), None));
    assert_eq!(healthy(&mut guard, 50.0), None);
    assert_eq!(healthy(&mut guard, 50.0), None);
    // Saved amid an interval, with a step that no look has read yet.
    guard.watch(&[energies(0.0), energies(0.0)], &scalar(0.0), &scalar(50.0));
    let (flags, state) = guard.state();
    let text = serde_json::to_string(state).unwrap();
    let mut other = Guard::new(&config(), Device::Cpu);
    other.restore(&flags, serde_json::from_str(&text).unwrap());
    let (a, b) = (guard.look(1, &weights()), other.look(1, &weights()));
    assert_eq!(a.as_ref().map(|d| d.cause), Some(Cause::GradientGrowth));
    assert_eq!(a, b);
}

#[test]
fn a_healthy_gap_that_oscillates_never_trips() {
    let mut guard = Guard::new(&GuardConfig::default(), Device::Cpu);
    for i in 0..2000 {
        let gap = 50.0 * (f64::from(i) * 0.1).sin();
        assert_eq!(step(&mut guard, gap, -gap, gap, 1.0 + gap.abs()), None, "look {i}");
    }
}

/// Adam moves every weight by the learning rate at once: energies pass the bound in the first steps.
const HUGE: &str = "--set optimizer.lr=100 --set optimizer.grad_clip=null --set guard.every=1 --set guard.max_abs_energy=1000 --set optimizer.schedule=constant";

fn events(bench: &Bench, run: &str, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines.filter(|l| l["event"] == name).collect()
}

#[test]
fn a_run_that_keeps_diverging_gives_up_with_code_3() {
    let bench = Bench::new();
    let line = format!("train tiny.yaml --out run {HUGE} --set guard.max_rollbacks=2");
    bench.fails(
        &line,
        3,
        &[
            "training diverged 3 times",
            "max_rollbacks",
            "going back to step 0",
            "remedy",
        ],
    );
    let back = events(&bench, "run", "rollback");
    let scales: Vec<f64> = back.iter().map(|e| e["lr_scale"].as_f64().unwrap()).collect();
    assert_eq!(scales, [0.5, 0.25]);
    for event in &back {
        assert_eq!(event["to"], 0);
        assert!(
            event["divergence"]["reading"]["max_abs_energy"].as_f64().unwrap() > 1000.0,
            "{event}"
        );
    }
    assert_eq!(events(&bench, "run", "diverged").len(), 1);
    let report: Vec<Divergence> =
        serde_json::from_slice(&std::fs::read(bench.path("run/divergence.json")).unwrap()).unwrap();
    assert_eq!(report.len(), 3);
    assert!(report.iter().all(|d| d.cause == Cause::EnergyBound), "{report:?}");
    assert!(!bench.path("run/results.json").exists());
}

#[test]
fn no_rollback_allowed_ends_at_once() {
    let bench = Bench::new();
    bench.fails(
        &format!("train tiny.yaml --out run {HUGE} --set guard.max_rollbacks=0"),
        3,
        &["diverged 1 times"],
    );
    assert!(events(&bench, "run", "rollback").is_empty());
    assert!(
        std::fs::read_dir(bench.path("run/checkpoints"))
            .unwrap()
            .next()
            .is_none(),
        "a diverged state was kept"
    );
}

#[test]
fn a_run_that_goes_back_ends_well_with_a_new_sampler_seed() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out plain");
    bench.succeeds(&format!(
        "train tiny.yaml --out run {HUGE} --set guard.lr_factor=1.0e-6"
    ));
    let record = |run: &str| -> Value {
        let path = bench.path(run).join("checkpoints/step-40/state.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let (plain, run) = (record("plain"), record("run"));
    assert_eq!(plain["lr_scale"], 1.0);
    assert_eq!(run["lr_scale"], 1e-6);
    assert_eq!(run["divergences"].as_array().unwrap().len(), 1);
    assert_ne!(
        run["streams"]["sampler"]["seed"], plain["streams"]["sampler"]["seed"],
        "{}",
        run["streams"]
    );
    assert_eq!(run["streams"]["data"]["seed"], plain["streams"]["data"]["seed"]);
    assert_eq!(events(&bench, "run", "rollback").len(), 1);
    assert!(!bench.path("run/divergence.json").exists());
}

#[test]
fn a_run_that_saw_an_infinity_can_be_resumed() {
    let bench = Bench::new();
    // The first update throws the weights to 1e30, so the next energies are beyond all numbers of f32.
    let line = format!(
        "train tiny.yaml --out run {} --set guard.lr_factor=1.0e-33",
        HUGE.replace("lr=100", "lr=1.0e+30")
    );
    bench.succeeds(&format!("{line} --set train.steps=20"));
    let seen = &events(&bench, "run", "rollback")[0]["divergence"];
    assert_eq!(seen["cause"], "energy", "{seen}");
    let out = bench.ebm(&format!("{line} --resume"));
    let stderr = common::text(&out.stderr);
    assert!(
        stderr.contains("going on from step 20") && !stderr.contains("passed over"),
        "{stderr}"
    );
    assert!(out.status.success(), "{stderr}");
}

#[test]
fn a_divergence_survives_being_written_down() {
    let mut guard = Guard::new(&config(), Device::Cpu);
    for bad in [f64::NAN, f64::INFINITY, 1e30] {
        let seen = step(&mut guard, bad, 0.0, bad, bad).unwrap();
        let back: Divergence = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{seen:?}"));
    }
}

#[test]
fn a_run_that_gave_up_is_not_gone_on_with() {
    let bench = Bench::new();
    let line = "train tiny.yaml --out run --set optimizer.lr=1e9 --set optimizer.schedule=constant --set guard.every=1 --set optimizer.grad_clip=null --set guard.max_rollbacks=1";
    bench.fails(line, 3, &["diverged"]);
    bench.fails(&format!("{line} --resume"), 2, &["gave up", "--init-from"]);
}
