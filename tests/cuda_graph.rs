//! Chains and training steps as CUDA graphs: the same work as without, no wait for the device, no growing memory.
//!
//! Without a CUDA device, or in a build without graphs, every test says so and passes; tests/recording.rs has what a CPU
//! can show.

mod common;

use common::Bench;
use ebm::config::yaml;
use ebm::data;
use ebm::energy::{Condition, Energy, FrozenEnergy, Identity};
use ebm::experiment::Experiment;
use ebm::ffi::cuda::{self, SyncDebug};
use ebm::nn::Network;
use ebm::nn::NetworkConfig;
use ebm::rng::Stream;
use ebm::run::RunDir;
use ebm::sampling::{ChainOutput, ChainRunner, Kernel, Langevin, Starter, run_chain_watched};
use ebm::sampling::{CudaGraph, LangevinConfig};
use ebm::train::{State, Trainer};
use serde::de::DeserializeOwned;
use tch::{Cuda, Device, Kind, Tensor};

const DEVICE: Device = Device::Cuda(0);

/// Sums in another order differ by so much of the largest value: some hundreds of roundings of f32, 6e-8 each.
const ROUNDING: f64 = 3e-5;

const MODEL: &str = "
name: small
input: [3, 16, 16]
output: logits
layers:
  - conv: {out: 16, kernel: 3, stride: 2, padding: 1}
  - silu
  - conv: {out: 32, kernel: 3, stride: 2, padding: 1}
  - silu
  - flatten
  - linear: {out: 4}
";

/// Skips the test that calls it, with a line, where there is no CUDA device.
macro_rules! needs_cuda {
    () => {
        if !(cuda::LINKED && Cuda::is_available()) {
            println!("not run: there is no CUDA device here, or this build has no CUDA graphs");
            return;
        }
    };
}

fn parsed<T: DeserializeOwned>(text: &str) -> T {
    let place = std::path::Path::new("test.yaml");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
}

fn network(seed: u64) -> Network {
    // Both paths choose their algorithms by the same rules; TF32 would round each choice differently.
    ebm::ffi::set_tf32(false);
    Network::new(&parsed::<NetworkConfig>(MODEL), DEVICE, &mut Stream::new(seed, "init")).unwrap()
}

fn kernel(noise: f64) -> Langevin {
    let cfg: LangevinConfig = parsed(&format!(
        "{{step_size: 5, noise_scale: {noise}, grad_clip: {{value: 0.03}}, clamp: [-1, 1]}}"
    ));
    Langevin::new(&cfg, 20)
}

fn start(n: i64) -> Tensor {
    Stream::new(1, "start").uniform(&[n, 3, 16, 16], -1.0, 1.0, DEVICE)
}

fn noise() -> Stream {
    Stream::new(2, "noise")
}

#[track_caller]
fn assert_close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.size(), b.size(), "{what}");
    let (a, b) = (a.detach().to_kind(Kind::Double), b.detach().to_kind(Kind::Double));
    let most = |t: &Tensor| t.abs().max().double_value(&[]);
    let (difference, scale) = (most(&(&a - &b)), most(&a));
    println!("{what}: differs by {difference:.2e} of {scale:.2e}");
    assert!(
        difference <= ROUNDING * scale,
        "{what}: differs by {difference} of {scale}"
    );
}

/// Runs a chain both ways and compares every state, the norms and the streams.
fn agrees(runner: &mut ChainRunner, kernel: &dyn Kernel, energy: &dyn Energy, x: &Tensor, steps: usize) -> ChainOutput {
    let (mut a, mut b) = (noise(), noise());
    let (mut plain_seen, mut seen) = (Vec::new(), Vec::new());
    let plain = run_chain_watched(kernel, energy, x.copy(), steps, &mut a, &mut |k: usize, x: &Tensor| {
        plain_seen.push((k, x.copy()));
    });
    let ours = runner.run(kernel, energy, x.copy(), steps, &mut b, &mut |k: usize, x: &Tensor| {
        seen.push((k, x.copy()));
    });
    assert_eq!(runner.take_notice(), None, "it was recorded");
    assert_eq!((seen.len(), plain_seen.len()), (steps + 1, steps + 1));
    for ((i, p), (j, o)) in plain_seen.iter().zip(&seen) {
        assert_eq!(i, j);
        assert_close(p, o, &format!("state {i}"));
    }
    assert_close(&plain.grad_norm, &ours.grad_norm, "mean gradient norm");
    assert_eq!(a, b, "as many draws");
    ours
}

#[test]
fn a_replayed_chain_is_the_plain_one() {
    needs_cuda!();
    let energy = FrozenEnergy::new(&network(3), Kind::Float, 1.0);
    // With one draw a step the noise is the very same too.
    for scale in [0.0, 0.01] {
        let mut runner = ChainRunner::new(CudaGraph::Auto);
        let first = agrees(&mut runner, &kernel(scale), &energy, &start(8), 20);
        assert!(first.x != start(8));
        // Recorded by now, with other starting points and another length.
        let second = agrees(&mut runner, &kernel(scale), &energy, &first.x, 7);
        let again = runner.run(
            &kernel(scale),
            &energy,
            first.x,
            7,
            &mut noise(),
            &mut |_: usize, _: &Tensor| {},
        );
        assert_eq!(second.x, again.x, "two runs are equal bit for bit");
    }
}

#[test]
fn another_shape_kernel_or_network_is_recorded_anew() {
    needs_cuda!();
    let live = network(4);
    let mut energy = FrozenEnergy::new(&live, Kind::Float, 1.0);
    let other = FrozenEnergy::new(&network(5), Kind::Float, 1.0);
    let mut runner = ChainRunner::new(CudaGraph::Auto);
    for n in [8, 5, 8] {
        agrees(&mut runner, &kernel(0.01), &energy, &start(n), 4);
    }
    agrees(&mut runner, &kernel(0.02), &energy, &start(8), 4);
    agrees(&mut runner, &kernel(0.02), &other, &start(8), 4);
    let classes = Tensor::arange(8, (Kind::Int64, DEVICE)).remainder(4);
    agrees(
        &mut runner,
        &kernel(0.02),
        &energy.given(Condition::Class(&classes)),
        &start(8),
        4,
    );
    // Same memory, other contents: nothing is recorded anew, and the new contents count.
    classes.shallow_clone().copy_(&classes.flip([0]));
    agrees(
        &mut runner,
        &kernel(0.02),
        &energy.given(Condition::Class(&classes)),
        &start(8),
        4,
    );
    energy.refresh(&network(6));
    agrees(&mut runner, &kernel(0.02), &energy, &start(8), 4);
}

#[test]
fn inner_steps_and_reduced_precision_are_recorded_too() {
    needs_cuda!();
    let mut runner = ChainRunner::new(CudaGraph::Auto);
    let energy = FrozenEnergy::new(&network(7), Kind::Float, 1.0);
    let cfg: LangevinConfig = parsed("{step_size: 0, noise_scale: 0.01, inner: {steps: 3, step_size: 2}}");
    agrees(&mut runner, &Langevin::new(&cfg, 4), &energy, &start(8), 4);
    // In bf16 a rounding that differs is no small thing after some steps; one step is compared.
    let reduced = FrozenEnergy::new(&network(7), Kind::BFloat16, 1.0);
    agrees(&mut runner, &kernel(0.01), &reduced, &start(8), 1);
}

/// p |x|^2 / 2, of variance 1 / p.
struct Gaussian(Tensor);

impl Energy for Gaussian {
    fn energy(&self, x: &Tensor) -> Tensor {
        (x.square() * &self.0 * 0.5).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float)
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            words: "gaussian".into(),
            reads: vec![self.0.shallow_clone()],
        })
    }
}

/// Noise that repeated itself from replay to replay would drive the chains far out.
#[test]
fn replayed_noise_has_the_variance_of_the_closed_form() {
    needs_cuda!();
    let (variance, step) = (0.25, 0.05);
    let cfg: LangevinConfig = parsed(&format!("{{step_size: {step}}}"));
    let energy = Gaussian(Tensor::full([1], 1.0 / variance, (Kind::Float, DEVICE)));
    let x = Tensor::zeros([40_000, 1, 1, 2], (Kind::Float, DEVICE));
    let mut runner = ChainRunner::new(CudaGraph::Auto);
    // (1 - h)^200 of the start's distance is left: 3e-20.
    let end = runner.run(
        &Langevin::new(&cfg, 100),
        &energy,
        x,
        100,
        &mut noise(),
        &mut |_: usize, _: &Tensor| {},
    );
    assert_eq!(runner.take_notice(), None);
    let h = step / variance;
    let expected = variance / (1.0 - h / 2.0);
    let values = end.x.to_kind(Kind::Double);
    let n = values.numel() as f64;
    let mean = values.mean(Kind::Double).double_value(&[]);
    let found = (&values - mean).square().mean(Kind::Double).double_value(&[]);
    let z = (found - expected) / (expected * (2.0 / n).sqrt());
    println!("variance {found:.5}, expected {expected:.5}, {z:+.2} standard errors");
    assert!(z.abs() < 5.0 && mean.abs() < 5.0 * (expected / n).sqrt(), "mean {mean}");
}

#[test]
fn memory_grows_neither_with_steps_nor_with_chains() {
    needs_cuda!();
    let energy = FrozenEnergy::new(&network(8), Kind::Float, 1.0);
    let (kernel, x) = (kernel(0.01), start(64));
    let mut runner = ChainRunner::new(CudaGraph::Auto);
    let mut run = |steps: usize| {
        drop(runner.run(
            &kernel,
            &energy,
            x.copy(),
            steps,
            &mut noise(),
            &mut |_: usize, _: &Tensor| {},
        ))
    };
    run(1);
    let mut measured = |steps: usize| {
        cuda::synchronize(0).unwrap();
        cuda::reset_peak(0).unwrap();
        run(steps);
        cuda::synchronize(0).unwrap();
        cuda::memory(0).unwrap()
    };
    let one = measured(1);
    assert_eq!(measured(100), one, "bytes now and at most");
    for _ in 0..200 {
        measured(5);
    }
    assert_eq!(measured(1), one);
}

const GPU: &str = "--set device=cuda --set train.steps=20";

/// A trainer of the tiny experiment in this process.
fn trainer(bench: &Bench, name: &str, changes: &[&str]) -> Trainer {
    let file = bench.path("tiny.yaml");
    let sets: Vec<String> = ["device=cuda"].iter().chain(changes).map(|s| s.to_string()).collect();
    let mut experiment = Experiment::load(&file, &sets).unwrap();
    // As it is found in a folder of the bench, wherever the test runs.
    experiment.train.steps = 10_000;
    ebm::ffi::set_tf32(false);
    let data = data::open(&experiment.data, experiment.model.input(), DEVICE).unwrap();
    let (init, space) = (experiment.init(), experiment.space());
    let starter = Starter::new(&init, &space, Some(&data.train), DEVICE).unwrap();
    let state = State::new(&experiment, &data, &starter, DEVICE).unwrap();
    let run = RunDir::create(&bench.path(name), "", &experiment, |_| Ok(())).unwrap();
    Trainer::new(experiment, data, starter, run, DEVICE, state).unwrap()
}

fn steps(trainer: &mut Trainer, n: usize) {
    (0..n).for_each(|_| trainer.step().unwrap());
}

/// Recipes whose steps differ in what they do on the device.
const RECIPES: [&[&str]; 5] = [
    &[],
    &[
        "optimizer.sam={rho: 0.05}",
        "optimizer.grad_clip={moment: {k: 3, floor: 0.1}}",
    ],
    &["buffer.replacement=reservoir", "buffer.storage=u8"],
    &[
        "model=tiny_classifier.yaml",
        "objective.p_y_given_x_weight=1",
        "objective.chains=by-class",
        "objective.p_x_weight=0",
        "objective.p_x_given_y_weight=1",
        "train.labelled_batch_size=4",
    ],
    &[
        "objective.p_x_weight=0",
        "model=tiny_classifier.yaml",
        "objective.p_y_given_x_weight=1",
    ],
];

#[test]
fn training_is_the_same_with_and_without_graphs() {
    needs_cuda!();
    for (i, recipe) in RECIPES.iter().enumerate() {
        let bench = Bench::new();
        let without: Vec<&str> = recipe.iter().copied().chain(["train.cuda_graph=off"]).collect();
        let (mut on, mut off) = (trainer(&bench, "on", recipe), trainer(&bench, "off", &without));
        // Some on the side stream, one that is recorded, the others replayed.
        steps(&mut on, 12);
        steps(&mut off, 12);
        assert_eq!(on.take_notice(), None, "recipe {i} was recorded");
        assert_eq!(on.state().streams, off.state().streams, "as many draws");
        for ((name, a), (_, b)) in on.state().model.state().iter().zip(off.state().model.state()) {
            assert_close(a, &b, &format!("recipe {i}, {name}"));
        }
        let sums = |t: &Trainer| t.state().meters.state();
        assert_eq!(sums(&on).1, sums(&off).1);
        assert_close(&sums(&on).0, &sums(&off).0, "sums of the metrics");
    }
}

#[test]
fn no_step_waits_for_the_device() {
    needs_cuda!();
    let dropped = &["train.cuda_graph=off"][..];
    for changes in RECIPES.iter().copied().chain([dropped]) {
        let bench = Bench::new();
        let mut trainer = trainer(&bench, "run", changes);
        steps(&mut trainer, 8);
        cuda::set_sync_debug(SyncDebug::Error).unwrap();
        // An operation that waits is an error now, which ends the test; epochs end in between too.
        steps(&mut trainer, 40);
        cuda::set_sync_debug(SyncDebug::Off).unwrap();
    }
}

#[test]
fn training_memory_does_not_grow() {
    needs_cuda!();
    let bench = Bench::new();
    let mut trainer = trainer(&bench, "run", &[]);
    steps(&mut trainer, 10);
    let mut bytes = |n: usize| {
        steps(&mut trainer, n);
        cuda::synchronize(0).unwrap();
        cuda::memory(0).unwrap()[0]
    };
    // A batch that spans two epochs leaves a joined tensor of indices; 1,000 steps end 160 epochs of 50 images.
    let before = bytes(25);
    assert_eq!(bytes(1000), before);
}

#[test]
fn two_runs_and_a_resumed_run_are_equal() {
    needs_cuda!();
    let bench = Bench::new();
    let exact = format!("{GPU} --set deterministic=true");
    bench.succeeds(&format!("train tiny.yaml --out a {exact}"));
    bench.succeeds(&format!("train tiny.yaml --out b {exact}"));
    let flat = "--set optimizer.schedule=constant --set deterministic=true --set device=cuda";
    bench.succeeds(&format!("train tiny.yaml --out whole {flat} --set train.steps=20"));
    bench.succeeds(&format!("train tiny.yaml --out parts {flat} --set train.steps=10"));
    bench.succeeds(&format!(
        "train tiny.yaml --out parts {flat} --set train.steps=20 --resume"
    ));
    for (one, other) in [("a", "b"), ("whole", "parts")] {
        let (one, other) = (bench.checkpoint(one, 20), bench.checkpoint(other, 20));
        for (name, bytes) in &one {
            assert!(bytes == &other[name], "{name} differs");
        }
    }
}

#[test]
fn what_cannot_be_recorded_runs_plainly_with_one_notice() {
    needs_cuda!();
    let bench = Bench::new();
    let mut trainer = trainer(
        &bench,
        "run",
        &["objective.kl_weight=1", "sampler.step_schedule={linear: {end: 0.5}}"],
    );
    let mut notices = Vec::new();
    for _ in 0..6 {
        trainer.step().unwrap();
        notices.extend(std::iter::from_fn(|| trainer.take_notice()));
    }
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].contains("steps differ") && notices[1].contains("contrastive divergence"));
    let out = bench.ebm("train tiny.yaml --out told --set device=cuda --set train.steps=4 --set objective.kl_weight=1");
    let said = common::text(&out.stderr);
    assert_eq!(
        said.matches("notice: training steps run without a CUDA graph").count(),
        1,
        "{said}"
    );
}

/// A capture that fails leaves draws, allocations and later captures as they were.
#[test]
fn a_failed_capture_is_an_error_and_nothing_else() {
    needs_cuda!();
    let mut side = cuda::SideStream::new(0).unwrap();
    let x = Tensor::zeros([4], (Kind::Float, DEVICE));
    {
        let inside = side.enter().unwrap();
        let _ = x.shallow_clone().normal_(0.0, 1.0);
        let failed = cuda::Graph::capture(0, &inside, || {
            drop(x.shallow_clone().normal_(0.0, x.double_value(&[0])))
        });
        println!("{}", failed.unwrap_err());
    }
    tch::manual_seed(3);
    let drawn = Tensor::randn([4], (Kind::Float, DEVICE));
    let graph = {
        let inside = side.enter().unwrap();
        cuda::Graph::capture(0, &inside, || drop(x.shallow_clone().normal_(0.0, 1.0))).unwrap()
    };
    tch::manual_seed(3);
    // SAFETY: `x`, which the recorded work writes, is alive.
    unsafe { graph.replay() }.unwrap();
    assert_eq!(x, drawn);
}
