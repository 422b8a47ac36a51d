//! Optimisers, clipping, schedules and the moving average against PyTorch's values (tests/golden/optim.py).

use std::collections::BTreeMap;

use ebm::optim::{Algorithm, LrSchedule, OptimizerConfig, ParamClip, SamConfig};
use ebm::optim::{Ema, Optimizer, Sam, Schedule};
use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad_guard};

const SHAPES: [(&str, &[i64]); 2] = [("0.weight", &[2, 3]), ("0.bias", &[3])];

/// The bound: 1e-6 over 100 steps, relative to values above 1.
const TOLERANCE: f64 = 1e-6;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/optim.json")).unwrap()
}

fn filled(t: i64, i: usize) -> Tensor {
    let shape = SHAPES[i].1;
    let spike = if t % 7 == 3 { 8.0 } else { 1.0 };
    let value = |j: i64| ((t * 37 + j * 17 + i as i64 * 7) % 23 - 11) as f32 / 16.0 * spike;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_slice(&values).view_(shape)
}

fn parameters() -> Vec<(String, Tensor)> {
    let leaf = |i: usize| (SHAPES[i].0.to_string(), filled(1000, i).set_requires_grad(true));
    (0..SHAPES.len()).map(leaf).collect()
}

/// Gives every parameter its gradient of step `t`, by a loss that is linear in it.
fn set_gradients(params: &[(String, Tensor)], t: i64) {
    for (i, (_, p)) in params.iter().enumerate() {
        (p * filled(t, i)).sum(Kind::Float).backward();
    }
}

fn config(algorithm: Algorithm) -> OptimizerConfig {
    OptimizerConfig {
        algorithm,
        lr: 0.01,
        weight_decay: 0.0,
        warmup: 0,
        schedule: LrSchedule::Constant,
        grad_clip: None,
        ema: None,
        sam: None,
    }
}

fn adam(betas: [f64; 2], eps: f64) -> OptimizerConfig {
    config(Algorithm::Adam { betas, eps })
}

fn sgd(momentum: f64, nesterov: bool) -> OptimizerConfig {
    config(Algorithm::Sgd { momentum, nesterov })
}

fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.detach().to_kind(Kind::Double).view(-1)).unwrap()
}

fn assert_close(found: &[f64], expected: &Value, what: &str) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(&expected) {
        assert!(
            (f - e).abs() <= TOLERANCE * e.abs().max(1.0),
            "{what}: {f} is not PyTorch's {e}"
        );
    }
}

fn one_step(optimizer: &mut Optimizer, params: &[(String, Tensor)], t: i64) -> Tensor {
    optimizer.zero_grad();
    set_gradients(params, t);
    let norm = optimizer.clip();
    optimizer.step(0.01);
    norm
}

/// Runs 100 steps and compares parameters and moments on the way, and the norms of the gradients.
fn follows_pytorch(case: &str, cfg: &OptimizerConfig) {
    let golden = &golden()["optimizers"][case];
    let params = parameters();
    let mut optimizer = Optimizer::new(cfg, &params);
    let mut norms = Vec::new();
    for t in 1..=100 {
        norms.push(one_step(&mut optimizer, &params, t));
        let Some(kept) = golden["kept"][t.to_string()].as_object() else {
            continue;
        };
        let own: BTreeMap<_, _> = optimizer.state().into_iter().chain(share(&params)).collect();
        assert_eq!(
            own.len(),
            kept.len() + 1,
            "{case}: one state and `step` more than PyTorch's"
        );
        for (name, expected) in kept {
            assert_close(&values(&own[name]), expected, &format!("{case}, step {t}, {name}"));
        }
    }
    assert_close(
        &values(&Tensor::stack(&norms, 0)),
        &golden["norms"],
        &format!("{case}, norms"),
    );
}

fn share(named: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    named.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect()
}

#[test]
fn adam_is_pytorchs() {
    follows_pytorch("adam", &adam([0.9, 0.999], 1e-8));
    follows_pytorch("adam_beta1_0", &adam([0.0, 0.999], 1e-8));
    let mut decayed = adam([0.5, 0.9], 1e-4);
    decayed.weight_decay = 0.05;
    follows_pytorch("adam_weight_decay", &decayed);
}

#[test]
fn adamw_is_pytorchs() {
    let mut cfg = config(Algorithm::AdamW {
        betas: [0.0, 0.99],
        eps: 1e-8,
    });
    cfg.weight_decay = 0.1;
    follows_pytorch("adamw", &cfg);
}

#[test]
fn sgd_is_pytorchs() {
    follows_pytorch("sgd", &sgd(0.0, false));
    let mut momentum = sgd(0.9, false);
    momentum.weight_decay = 0.02;
    follows_pytorch("sgd_momentum", &momentum);
    let mut nesterov = sgd(0.8, true);
    nesterov.weight_decay = 0.02;
    follows_pytorch("sgd_nesterov", &nesterov);
}

#[test]
fn clipping_is_pytorchs_and_igebms() {
    let clipped = |mut cfg: OptimizerConfig, clip| {
        cfg.grad_clip = Some(clip);
        cfg
    };
    follows_pytorch("clip_norm", &clipped(sgd(0.0, false), ParamClip::Norm(1.5)));
    follows_pytorch("clip_value", &clipped(sgd(0.0, false), ParamClip::Value(0.5)));
    let moment = ParamClip::Moment { k: 1.5, floor: 0.1 };
    follows_pytorch("clip_moment", &clipped(adam([0.0, 0.9], 1e-8), moment));
}

#[test]
fn a_parameter_without_gradient_stays() {
    let params = parameters();
    let mut cfg = adam([0.9, 0.999], 1e-8);
    cfg.weight_decay = 0.1;
    let mut optimizer = Optimizer::new(&cfg, &params);
    params[0].1.sum(Kind::Float).backward();
    // The gradient of a sum is 1 for each of the 6 elements.
    assert!((optimizer.clip().double_value(&[]) - 6f64.sqrt()).abs() < 1e-6);
    optimizer.step(0.01);
    assert_ne!(params[0].1, filled(1000, 0));
    assert_eq!(params[1].1, filled(1000, 1));
}

#[test]
fn a_loaded_state_goes_on_bit_for_bit() {
    for cfg in [adam([0.9, 0.999], 1e-8), sgd(0.9, true)] {
        let whole = parameters();
        let mut optimizer = Optimizer::new(&cfg, &whole);
        (1..=40).for_each(|t| drop(one_step(&mut optimizer, &whole, t)));

        let halves = parameters();
        let mut first = Optimizer::new(&cfg, &halves);
        (1..=20).for_each(|t| drop(one_step(&mut first, &halves, t)));
        let saved: BTreeMap<_, _> = first.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        let mut second = Optimizer::new(&cfg, &halves);
        second.load_state(&saved, "saved").unwrap();
        assert_eq!(second.steps(), 20);
        (21..=40).for_each(|t| drop(one_step(&mut second, &halves, t)));

        for (a, b) in whole.iter().zip(&halves) {
            assert_eq!(a, b);
        }
        assert_eq!(optimizer.state(), second.state());
    }
}

#[test]
fn a_state_that_differs_is_refused_and_nothing_changes() {
    let params = parameters();
    let cfg = adam([0.9, 0.999], 1e-8);
    let mut optimizer = Optimizer::new(&cfg, &params);
    let _ = one_step(&mut optimizer, &params, 1);
    let good =
        || -> BTreeMap<String, Tensor> { optimizer.state().into_iter().map(|(n, t)| (n, t.ones_like())).collect() };
    let with = |name: &str, t: Option<Tensor>| {
        let mut state = good();
        match t {
            Some(t) => state.insert(name.into(), t),
            None => state.remove(name),
        };
        state
    };
    let float = (Kind::Float, Device::Cpu);
    let cases = [
        (with("0.bias.exp_avg", None), "`0.bias.exp_avg` is missing"),
        (
            with("1.bias.exp_avg", Some(Tensor::ones([3], float))),
            "`1.bias.exp_avg` is not expected",
        ),
        (
            with("0.bias.exp_avg", Some(Tensor::ones([1], float))),
            "has shape [1], expected [3]",
        ),
        (
            with("0.bias.exp_avg", Some(Tensor::ones([3], (Kind::Half, Device::Cpu)))),
            "is Half, expected Float",
        ),
        (with("step", None), "`step`"),
        (
            with("step", Some(Tensor::ones([1], (Kind::Int64, Device::Cpu)))),
            "`step`",
        ),
    ];
    let mut other = Optimizer::new(&cfg, &params);
    for (state, expected) in cases {
        let error = other.load_state(&state, "checkpoints/step-1").unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("checkpoints/step-1"),
            "{error}"
        );
        assert_eq!(other.steps(), 0);
        let untouched = |(n, t): &(String, Tensor)| n == "step" || t.abs().max().double_value(&[]) == 0.0;
        assert!(other.state().iter().all(untouched));
    }
}

#[test]
fn schedules_are_pytorchs() {
    let golden = &golden()["schedules"];
    let milestones = vec![5, 40, 70];
    let cases = [
        ("constant", 0, LrSchedule::Constant),
        ("warmup", 8, LrSchedule::Constant),
        ("step", 8, LrSchedule::Step { milestones, gamma: 0.3 }),
        ("exponential", 8, LrSchedule::Exponential { gamma: 0.9, every: 3 }),
        ("cosine", 8, LrSchedule::Cosine { end: 0.2 }),
    ];
    for (case, warmup, schedule) in cases {
        let mut cfg = sgd(0.0, false);
        (cfg.lr, cfg.warmup, cfg.schedule) = (0.1, warmup, schedule);
        let schedule = Schedule::new(&cfg, 100);
        for (step, expected) in golden[case].as_array().unwrap().iter().enumerate() {
            let (found, expected) = (schedule.lr(step as u64), expected.as_f64().unwrap());
            // PyTorch's recurrences are up to 100 products of f64: 100 x 2.2e-16, taken tenfold.
            assert!(
                (found / expected - 1.0).abs() < 3e-13,
                "{case}, step {step}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn the_cosine_ends_where_the_run_does() {
    let mut cfg = sgd(0.0, false);
    (cfg.warmup, cfg.schedule) = (10, LrSchedule::Cosine { end: 0.1 });
    let schedule = Schedule::new(&cfg, 60);
    assert!((schedule.lr(60) - 0.001).abs() < 1e-15);
    assert_eq!(schedule.lr(60), schedule.lr(1000));
    // A run that is all warm-up has a schedule too.
    assert!(Schedule::new(&cfg, 5).lr(4) > 0.0);
}

#[test]
fn the_average_is_pytorchs_and_resumes() {
    let golden = &golden()["ema"];
    let params = parameters();
    let buffer = Tensor::zeros([], (Kind::Int64, Device::Cpu));
    let mut source = share(&params);
    source.push(("0.count".into(), buffer));
    let mut average = Ema::new(0.95, &source);
    for t in 1..=100 {
        {
            let _guard = no_grad_guard();
            for (i, (_, p)) in source[..2].iter_mut().enumerate() {
                p.copy_(&filled(t, i));
            }
            let _ = source[2].1.fill_(t);
        }
        average.update(&source);
        if t == 50 {
            // Halfway the average moves into another, by way of its state.
            let saved = average.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
            average = Ema::new(0.95, &source);
            average.load_state(&saved, "saved").unwrap();
        }
        let own: BTreeMap<_, _> = average.weights().into_iter().collect();
        assert_eq!(own["0.count"].int64_value(&[]), t, "what needs no gradient is copied");
        for (name, expected) in golden[t.to_string()].as_object().into_iter().flatten() {
            assert_close(&values(&own[name]), expected, &format!("ema, update {t}, {name}"));
            assert!(!own[name].requires_grad());
        }
    }
}

#[test]
fn an_average_of_other_weights_is_refused() {
    let params = parameters();
    let mut average = Ema::new(0.9, &params);
    let mut state: BTreeMap<_, _> = average.state().into_iter().collect();
    state.remove("0.weight");
    let error = average.load_state(&state, "ema.safetensors").unwrap_err().to_string();
    assert!(error.contains("`0.weight` is missing"), "{error}");
}

/// The loss of the script's `uphill`: its gradient depends on where the weights are.
fn set_uphill_gradients(params: &[(String, Tensor)], t: i64) {
    let waves = params
        .iter()
        .enumerate()
        .map(|(i, (_, p))| (p.sin() * filled(t, i)).sum(Kind::Float));
    let sum = params
        .iter()
        .map(|(_, p)| p.sum(Kind::Float))
        .reduce(|a, b| a + b)
        .unwrap();
    (waves.reduce(|a, b| a + b).unwrap() + sum.square() * 0.25).backward();
}

/// One step of sharpness-aware SGD; returns where it climbed to, and whether it came back to the very same weights.
fn sam_step(sam: &mut Sam, optimizer: &mut Optimizer, params: &[(String, Tensor)], t: i64) -> Vec<Tensor> {
    let copies = || -> Vec<Tensor> { params.iter().map(|(_, p)| p.detach().copy()).collect() };
    let before = copies();
    optimizer.zero_grad();
    set_uphill_gradients(params, t);
    sam.climb();
    let climbed = copies();
    optimizer.zero_grad();
    set_uphill_gradients(params, t);
    sam.descend();
    assert_eq!(before, copies(), "the weights come back bit for bit");
    optimizer.step(0.01);
    climbed
}

#[test]
fn sharpness_aware_steps_are_pytorchs() {
    for (case, rho, adaptive) in [("plain", 0.05, false), ("adaptive", 0.5, true)] {
        let golden = &golden()["sam"][case];
        let mut cfg = sgd(0.9, true);
        cfg.weight_decay = 0.02;
        let params = parameters();
        let mut optimizer = Optimizer::new(&cfg, &params);
        let mut sam = Sam::new(&SamConfig { rho, adaptive }, &params);
        let mut compared = 0;
        for t in 1..=100 {
            let climbed = sam_step(&mut sam, &mut optimizer, &params, t);
            for ((name, p), at) in params.iter().zip(&climbed) {
                let Some(expected) = golden[t.to_string()].as_object() else {
                    continue;
                };
                assert_close(
                    &values(at),
                    &expected[&format!("{name}.climbed")],
                    &format!("{case}, climb {t}, {name}"),
                );
                assert_close(&values(p), &expected[name], &format!("{case}, step {t}, {name}"));
                compared += 1;
            }
        }
        assert_eq!(compared, 8);
    }
}

/// At w with gradient g: |e| = rho, along g; adaptive, | e / |w| | = rho.
#[test]
fn the_climb_has_the_length_that_was_asked_for() {
    for adaptive in [false, true] {
        let params = parameters();
        let mut sam = Sam::new(&SamConfig { rho: 0.3, adaptive }, &params);
        set_gradients(&params, 5);
        sam.climb();
        let squares = params.iter().enumerate().map(|(i, (_, p))| {
            let (w, e) = (filled(1000, i), p.detach() - filled(1000, i));
            // A weight of 0 does not move in the adaptive climb.
            let e = if adaptive {
                (&e / &w).nan_to_num(0.0, 0.0, 0.0)
            } else {
                e
            };
            e.square().sum(Kind::Double).double_value(&[])
        });
        let length = squares.sum::<f64>().sqrt();
        assert!((length - 0.3).abs() < 1e-6, "{length}");
    }
}

#[test]
fn a_climb_without_gradients_stays_where_it_is() {
    let params = parameters();
    let mut sam = Sam::new(
        &SamConfig {
            rho: 0.3,
            adaptive: false,
        },
        &params,
    );
    sam.climb();
    assert_eq!(params[0].1, filled(1000, 0));
    params[0].1.sum(Kind::Float).backward();
    sam.climb();
    assert_ne!(params[0].1, filled(1000, 0));
    assert_eq!(params[1].1, filled(1000, 1), "no gradient, no move");
    // A gradient of 0 everywhere moves nothing, and does not divide by 0.
    sam.descend();
    params.iter().for_each(|(_, p)| p.shallow_clone().zero_grad());
    sam.climb();
    assert_eq!(params[0].1, filled(1000, 0));
}
