//! The proximal sampler of JEM++ against closed forms and a PyTorch reference (tests/golden/pyld.py).

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::{Condition, Energy, FrozenEnergy, Stages, Tempered, energy_and_grad, staged_energy_and_grad};
use ebm::nn::Network;
use ebm::nn::NetworkConfig;
use ebm::rng::Stream;
use ebm::sampling::{GradClip, LangevinConfig};
use ebm::sampling::{Langevin, run_chain};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// rest(h) = sum of c h^power / power behind first(x) = (a x)^square.
struct Powers {
    a: f64,
    square: bool,
    c: f64,
    power: i64,
}

impl Energy for Powers {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.rest(&self.first(x))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        Some(self)
    }
}

impl Stages for Powers {
    fn first(&self, x: &Tensor) -> Tensor {
        let h = x * self.a;
        if self.square { h.square() } else { h }
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        let powers = h.pow_tensor_scalar(self.power) * (self.c / self.power as f64);
        powers.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float)
    }
}

fn config(step_size: f64, steps: usize, inner: f64) -> LangevinConfig {
    let text = format!("{{step_size: {step_size}, noise_scale: 0, inner: {{steps: {steps}, step_size: {inner}}}}}");
    let path = Path::new("sampler.yaml");
    yaml::typed(yaml::parse(&text, path).unwrap(), path).unwrap()
}

fn run(cfg: &LangevinConfig, energy: &dyn Energy, x: &Tensor, n_steps: usize) -> (Tensor, f64) {
    tch::set_num_threads(1);
    let mut rng = Stream::new(1, "chain");
    let chain = run_chain(&Langevin::new(cfg, n_steps), energy, x.copy(), n_steps, &mut rng);
    if cfg.noise_scale == Some(0.0) {
        assert_eq!(rng.counter(), 0, "a chain without noise draws nothing");
    }
    (chain.x, chain.grad_norm.double_value(&[]))
}

fn start() -> Tensor {
    Stream::new(2, "start").uniform(&[5, 1, 2, 2], -1.0, 1.0, Device::Cpu)
}

fn max_error(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// Numbers below 2 go through a few dozen roundings at most.
const ROUNDING: f64 = 40.0 * 2.0 * f32::EPSILON as f64;

/// With E = (a x)^2 / 2 the upstream gradient is a x0, and N inner steps of size S go N S a^2 x0 straight on, where N
/// full steps would have shrunk x by (1 - S a^2)^N.
#[test]
fn the_upstream_gradient_is_held_fixed() {
    let energy = Powers {
        a: 2.0,
        square: false,
        c: 1.0,
        power: 2,
    };
    let x = start();
    for steps in [1, 5] {
        let (end, norm) = run(&config(0.0, steps, 0.03), &energy, &x, 1);
        assert!(max_error(&end, &(&x * (1.0 - steps as f64 * 0.03 * 4.0))) < ROUNDING);
        let whole = (&x * 4.0).norm_scalaropt_dim(2.0, [1, 2, 3], false).mean(Kind::Float);
        assert!(
            (norm - whole.double_value(&[])).abs() < 1e-5,
            "the norm is that of the whole gradient"
        );
    }
    // Two outer steps find it anew.
    let (end, _) = run(&config(0.0, 5, 0.03), &energy, &x, 2);
    assert!(max_error(&end, &(&x * 0.4f64.powi(2))) < ROUNDING);
}

/// With first(x) = x^2 the inner steps see that layer bend: x shrinks by 1 - 2 S p each, p = c x0^2 held fixed.
#[test]
fn inner_steps_follow_the_first_layer() {
    let energy = Powers {
        a: 1.0,
        square: true,
        c: 0.5,
        power: 2,
    };
    let x = start();
    let (end, _) = run(&config(0.0, 6, 0.1), &energy, &x, 1);
    let shrink: Tensor = 1.0 - x.square() * (0.5 * 2.0 * 0.1);
    assert!(max_error(&end, &(&x * shrink.pow_tensor_scalar(6))) < ROUNDING);
    // The outer move comes first; p is that of before it.
    let (end, _) = run(&config(0.2, 6, 0.1), &energy, &x, 1);
    let moved = &x - x.pow_tensor_scalar(3) * 0.2;
    assert!(max_error(&end, &(moved * shrink.pow_tensor_scalar(6))) < ROUNDING);
}

/// E = 3 x summed over pixels: every move is a constant.
#[test]
fn clip_and_clamp_hold_in_every_inner_step() {
    let energy = Powers {
        a: 1.0,
        square: false,
        c: 3.0,
        power: 1,
    };
    let x = start();
    let clipped = LangevinConfig {
        grad_clip: Some(GradClip::Value(0.5)),
        ..config(0.1, 3, 0.2)
    };
    let (end, _) = run(&clipped, &energy, &x, 1);
    assert!(max_error(&end, &(&x - 0.5 * (0.1 + 3.0 * 0.2))) < ROUNDING);
    let clamped = LangevinConfig {
        clamp: Some([-0.6, 1.0]),
        ..clipped
    };
    let (end, _) = run(&clamped, &energy, &x, 1);
    assert!(max_error(&end, &(&x - 0.35f64).clamp(-0.6, 1.0)) < ROUNDING);
    let by_norm = LangevinConfig {
        grad_clip: Some(GradClip::Norm(1.0)),
        ..config(0.0, 2, 0.2)
    };
    let (end, _) = run(&by_norm, &energy, &x, 1);
    // Four pixels of the same gradient: half of the norm each.
    assert!(max_error(&end, &(&x - 0.5 * 2.0 * 0.2)) < ROUNDING);
}

/// To first order a step with its inner ones is one of size h = step_size + N S, and for a linear first layer exactly
/// so: at temperature T the variance is T v / (1 - h / (2 v)) about a Gaussian of variance v.
#[test]
fn noise_and_temperature_count_the_inner_steps() {
    let cfg = LangevinConfig {
        noise_scale: None,
        temperature: Some(0.5),
        ..config(0.1, 4, 0.05)
    };
    let kernel = Langevin::new(&cfg, 10);
    assert!((kernel.noise_scale() - (2.0 * 0.3 * 0.5f64).sqrt()).abs() < 1e-12);
    assert_eq!(kernel.temperature(), 0.5);
    let implied = LangevinConfig {
        noise_scale: Some(0.3),
        ..config(0.0, 4, 0.05)
    };
    assert!((Langevin::new(&implied, 10).temperature() - 0.09 / 0.4).abs() < 1e-12);
    let energy = Powers {
        a: 1.0,
        square: false,
        c: 2.0,
        power: 2,
    };
    let x = Tensor::zeros([40_000, 1, 1, 1], (Kind::Float, Device::Cpu));
    let (end, _) = run(&cfg, &energy, &x, 60);
    let variance = end.var(true).double_value(&[]);
    let expected = 0.5 * 0.5 / (1.0 - 0.3);
    // Five standard errors of the variance of 40,000 normal values; (1 - 0.6)^120 is left of the start.
    assert!(
        (variance / expected - 1.0).abs() < 5.0 * (2.0 / 40_000f64).sqrt(),
        "{variance}, expected {expected}"
    );
}

/// The rule of pyld.py.
fn filled(key: i64, shape: &[i64], scale: f64) -> Tensor {
    let value = |j: i64| ((key * 37 + j * 17 + j * j * 5) % 47 - 23) as f64 / 32.0 * scale;
    let values: Vec<f64> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_slice(&values).to_kind(Kind::Float).view(shape)
}

fn network(output: &str, out: i64) -> Network {
    let text = format!(
        "name: small\ninput: [2, 6, 6]\noutput: {output}\nlayers: [{{conv: {{out: 4, kernel: 3, padding: 1}}}}, silu, \
         {{conv: {{out: 6, kernel: 3, stride: 2}}}}, silu, flatten, {{linear: {{out: {out}}}}}]"
    );
    let path = Path::new("small.yaml");
    let model: NetworkConfig = yaml::typed(yaml::parse(&text, path).unwrap(), path).unwrap();
    let network = Network::new(&model, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let named = network.state().into_iter().enumerate();
    let named = named
        .map(|(key, (name, t))| (name, filled(key as i64, &t.size(), 1.0)))
        .collect();
    network.load(&named, "filled").unwrap();
    network
}

/// Single precision against double: 50 moves that add up to at most 10, of gradients right to about 1e-6.
fn assert_golden(case: &str, (x, norm): (Tensor, f64)) {
    let all: Value = serde_json::from_str(include_str!("golden/pyld.json")).unwrap();
    let expected: Vec<f64> = serde_json::from_value(all[case]["x"].clone()).unwrap();
    let error = max_error(&x.view([-1]).to_kind(Kind::Double), &Tensor::from_slice(&expected));
    let expected = all[case]["grad_norm"].as_f64().unwrap();
    println!(
        "{case}: images off by {error:.1e}, norm by {:.1e}",
        norm / expected - 1.0
    );
    assert!(error < 2e-5, "{case}: {error}");
    assert!((norm / expected - 1.0).abs() < 2e-5, "{case}: {norm}, {expected}");
}

#[test]
fn the_whole_sampler_is_pytorchs() {
    let x = filled(99, &[3, 2, 6, 6], 1.25);
    let published = LangevinConfig {
        grad_clip: Some(GradClip::Value(0.3)),
        clamp: Some([-1.0, 1.0]),
        ..config(0.0, 5, 0.2)
    };
    let logits = FrozenEnergy::new(&network("logits", 5), Kind::Float, 1.0);
    assert_golden("published", run(&published, &logits, &x, 10));
    let classes = Tensor::from_slice(&[4i64, 0, 2]);
    assert_golden(
        "published_classes",
        run(&published, &logits.given(Condition::Class(&classes)), &x, 10),
    );
    let outer = LangevinConfig {
        grad_clip: Some(GradClip::Norm(3.0)),
        ..config(0.05, 3, 0.01)
    };
    let energy = FrozenEnergy::new(&network("energy", 1), Kind::Float, 1.0);
    assert_golden("outer", run(&outer, &energy, &x, 4));
}

#[test]
fn both_stages_make_the_whole() {
    let network = network("logits", 5);
    let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
    let classes = Tensor::from_slice(&[1i64, 3, 3]);
    let x = filled(99, &[3, 2, 6, 6], 1.0);
    for energy in [&frozen as &dyn Energy, &frozen.given(Condition::Class(&classes))] {
        let staged = staged_energy_and_grad(energy.stages().unwrap(), &x).whole;
        let whole = energy_and_grad(energy, &x);
        assert!(max_error(&staged.energy, &whole.energy) < 1e-5);
        assert!(max_error(&staged.grad, &whole.grad) < 1e-5);
    }
    let tempered = Tempered {
        energy: &frozen,
        temperature: 2.0,
    };
    assert!(tempered.stages().is_none());
}

#[test]
fn a_reference_and_inner_steps_are_refused_together() {
    let check = |model: &str, sampler: &str| {
        let text = format!(
            "data: {{dataset: {{strokes: {{}}}}}}\nmodel: {{name: m, input: [1, 8, 8]{model}, layers: [flatten, {{linear: {{out: 1}}}}]}}\n\
             sampler: {{n_steps: 2, {sampler}, noise_scale: 0.1}}\n\
             optimizer: {{algorithm: {{adam: {{}}}}, lr: 0.001}}\ntrain: {{steps: 1, batch_size: 4}}\n"
        );
        ebm::experiment::Experiment::from_text(&text, Path::new("e.yaml"), &[]).map(drop)
    };
    let inner = "step_size: 0, inner: {steps: 5, step_size: 0.2}";
    check("", inner).unwrap();
    check(", reference_std: 0.5", "step_size: 1").unwrap();
    let refused = check(", reference_std: 0.5", inner).unwrap_err().to_string();
    assert!(
        refused.contains("sampler.kernel.langevin.inner") && refused.contains("reference"),
        "{refused}"
    );
    let still = check("", "step_size: 0").unwrap_err().to_string();
    assert!(still.contains("sampler.kernel.langevin.step_size"), "{still}");
}
