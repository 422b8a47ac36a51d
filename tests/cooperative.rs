//! Cooperative training: the generator's loss, what starts from it, and what it learns.

mod common;

use std::fs;
use std::path::Path;

use common::Bench;
use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::objective::{Inputs, ObjectiveConfig, Passes, Terms, name};
use ebm::rng::Stream;
use ebm::space::Space;
use tch::{Device, Kind, Tensor};

fn terms(text: &str, space: &Space, seed: u64) -> Terms {
    let place = Path::new("objective");
    let config: ObjectiveConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    let mut terms = config.build(Device::Cpu);
    terms.begin(space, &mut Stream::new(seed, "objective-init"));
    terms
}

/// The term does not look at the model.
struct NoModel;

impl Passes for NoModel {
    fn energy(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn logits(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn joint(&self, _: &str, _: &Tensor) -> Tensor {
        unreachable!()
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        unreachable!()
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        unreachable!()
    }

    fn chain_end(&self) -> Tensor {
        unreachable!()
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}

fn numbers(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.detach().to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// W h + b of one vector.
fn affine(weight: &[f64], bias: &[f64], h: &[f64]) -> Vec<f64> {
    let row = |(w, b): (&[f64], &f64)| w.iter().zip(h).map(|(w, h)| w * h).sum::<f64>() + b;
    weight.chunks(h.len()).zip(bias).map(row).collect()
}

#[test]
fn the_loss_is_that_of_its_formula() {
    tch::set_num_threads(1);
    let (n, sigma) = (5, 0.4);
    for squash in ["tanh", "null"] {
        let text = format!("{{cooperative: {{latent: 2, hidden: [4, 3], squash: {squash}, sigma: {sigma}}}}}");
        let (space, rng) = (Space::of(&[1, 2, 3]), &mut Stream::new(1, "formula"));
        let terms = terms(&text, &space, 2);
        let own = terms.parameters();
        assert_eq!(own.len(), 6, "{own:?}");
        // Biases that are not 0 tell more.
        for (_, t) in &own {
            let _ = tch::no_grad(|| t.shallow_clone().g_add_scalar_(0.3));
        }
        let mut inputs = Inputs::default();
        inputs.put(name::DATA, Tensor::zeros(space.batch(n), (Kind::Float, Device::Cpu)));
        terms.before_chains(0, &mut inputs, rng);
        let starts = terms.chain_start(0, &inputs).unwrap();
        assert_eq!(starts.size(), space.batch(n));
        assert!(!starts.requires_grad(), "chains start cut off from any graph");
        let ends = rng.normal(&space.batch(n), Device::Cpu);
        let z = numbers(inputs.of("latents of the generator"));
        inputs.put(name::NEGATIVES, ends.shallow_clone());
        let value = terms.loss(0, &NoModel, &inputs).value.double_value(&[]);

        let silu = |h: Vec<f64>| h.into_iter().map(|v| v / (1.0 + (-v).exp())).collect::<Vec<f64>>();
        let of = |i: usize, h: &[f64]| affine(&numbers(&own[2 * i].1), &numbers(&own[2 * i + 1].1), h);
        let g = |z: &[f64]| {
            let last = of(2, &silu(of(1, &silu(of(0, z)))));
            last.into_iter()
                .map(|v| if squash == "tanh" { v.tanh() } else { v })
                .collect::<Vec<f64>>()
        };
        let due: Vec<f64> = z.chunks(2).flat_map(g).collect();
        let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        assert!(apart(&due, &numbers(&starts)) < 1e-9, "{due:?} for {starts}");
        let due = apart(&due, &numbers(&ends)) / (2.0 * sigma * sigma) / n as f64;
        assert!((value / due - 1.0).abs() < 1e-5, "{value} for {due}");
    }
}

#[test]
fn a_seed_decides_the_generator_and_an_example_says_whether_it_has_one() {
    let draw = |seed: u64, n: i64| {
        let terms = terms("{cooperative: {latent: 2, hidden: [4]}}", &Space::of(&[3]), seed);
        terms.generator().unwrap().draw(n, &mut Stream::new(0, "draw"))
    };
    assert_eq!(draw(1, 2500).size(), [2500, 3], "more than are drawn at once");
    assert_eq!(draw(1, 7), draw(1, 7));
    assert!(draw(1, 7) != draw(2, 7));
    for (key, config) in ObjectiveConfig::examples() {
        let mut terms = config.build(Device::Cpu);
        terms.begin(&Space::of(&[2]), &mut Stream::new(0, "objective-init"));
        assert_eq!(config.asks().generator, terms.generator().is_some(), "{key}");
        assert_eq!(config.has_parameters(), !terms.parameters().is_empty(), "{key}");
    }
}

const MODEL: &str = "
name: points
input: [2]
layers: [{linear: {out: 32}}, silu, {linear: {out: 32}}, silu, {linear: {out: 1}}]
";

const EXPERIMENT: &str = "
seed: 3
threads: 1
data: {dataset: {toy: {density: two-moons, count: 2000}}, validation: 500}
model: points_model.yaml
sampler: {kernel: {mala: {step_size: 0.02}}, n_steps: 5, start: noise, init: {uniform: [-4, 4]}}
compute: {precision: f32, layout: contiguous}
objective: {contrastive: {}, cooperative: {latent: 2, hidden: [16]}}
optimizer: {algorithm: {adam: {}}, lr: 1.0e-2, ema: 0.9}
train: {steps: 12, batch_size: 16, log_every: 4, checkpoint_every: 6}
report: {every: 0, images: 40, sample_steps: 5, tensorboard: false}
";

fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("points_model.yaml"), MODEL).unwrap();
    fs::write(bench.path("points.yaml"), EXPERIMENT).unwrap();
    bench
}

#[test]
fn fresh_chains_of_a_run_start_from_its_generator() {
    let bench = bench();
    let told = bench.succeeds("train points.yaml --out run");
    assert!(
        told.contains("start from:       draws of the run's generator"),
        "{told}"
    );
    let points = |options: &str| {
        bench.succeeds(&format!(
            "sample run -n 30 --steps 0 --seed 5 --out points.npy {options}"
        ));
        Tensor::read_npy(bench.path("points.npy")).unwrap()
    };
    let place = Path::new("objective");
    let tree = yaml::parse("{cooperative: {latent: 2, hidden: [16]}}", place).unwrap();
    let config: ObjectiveConfig = yaml::typed(tree, place).unwrap();
    let drawn = |stem: &str| {
        let path = bench.path(&format!("run/checkpoints/step-12/{stem}.safetensors"));
        let mut saved = ebm::files::read(&path).unwrap();
        saved.remove("updates");
        let generator = config
            .generator(&Space::of(&[2]), &saved, stem, Device::Cpu)
            .unwrap()
            .unwrap();
        generator.draw(30, &mut Stream::new(5, "sample"))
    };
    assert_eq!(points(""), drawn("objective_ema"));
    assert_eq!(points("--weights raw"), drawn("objective"));
    assert!(drawn("objective") != drawn("objective_ema"));
    // Who names a distribution wants its draws.
    for init in ["--init", "--set"] {
        let value = ["{uniform: [5, 6]}", "sampler.init={uniform: [5, 6]}"][usize::from(init == "--set")];
        let mut command = bench.command("sample run -n 30 --steps 0 --out points.npy");
        let out = command.args([init, value]).output().unwrap();
        assert!(out.status.success(), "{}", common::text(&out.stderr));
        let x = Tensor::read_npy(bench.path("points.npy")).unwrap();
        assert!(
            x.min().double_value(&[]) >= 5.0 && x.max().double_value(&[]) <= 6.0,
            "{x}"
        );
    }
    let wide = "train points.yaml --out wide --set objective.cooperative.hidden=[1000000000,1000000000]";
    bench.fails(wide, 2, &["objective.cooperative.hidden", "memory"]);
}
