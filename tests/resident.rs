//! Training stays on the device: no value is read between two lines of metrics, and memory grows neither with the length of
//! a chain nor with the number of steps.

mod common;

use std::sync::atomic::AtomicBool;

use common::{BY_CLASS, Bench, JEM};
use ebm::energy::{Condition, Energy, FrozenEnergy};
use ebm::experiment::Experiment;
use ebm::rng::Stream;
use ebm::run::RunDir;
use ebm::sampling::{Kernel, Starter, run_chain};
use ebm::train::{Observer, State, Trainer};
use ebm::{data, ffi};
use tch::{Device, Kind, Tensor};

const RESERVOIR: &str = "--set buffer.replacement=reservoir --set buffer.storage=u8";
const GAUSSIANS: &str = "--set sampler.init={class-gaussians:{jitter:0.001}}";
const IMPROVED: &str = "--set objective.kl_weight=0.1 --set objective.entropy_weight=0.1";

/// A trainer of the tiny experiment with changes, before its first step.
fn trainer(bench: &Bench, changes: &str) -> Trainer {
    let file = bench.path("tiny.yaml");
    let sets: Vec<String> = changes
        .split_whitespace()
        .filter(|word| *word != "--set")
        .map(|set| set.replace(':', ": "))
        .collect();
    let experiment = Experiment::load(&file, &sets).unwrap();
    tch::set_num_threads(1);
    let device = Device::Cpu;
    let images = data::open(&experiment.data, experiment.model.input(), device).unwrap();
    let (init, space) = (experiment.init(), experiment.space());
    let starter = Starter::new(&init, &space, Some(&images.train), device).unwrap();
    let state = State::new(&experiment, &images, &starter, device).unwrap();
    let run = RunDir::create(&bench.path("run"), "", &experiment, |_| Ok(())).unwrap();
    Trainer::new(experiment, images, starter, run, device, state).unwrap()
}

/// Notes a number after each step, before the line of metrics that the step may bring.
struct Notes<F> {
    number: F,
    notes: Vec<u64>,
}

impl<F: Fn() -> u64> Observer for Notes<F> {
    fn stepped(&mut self, _: u64) {
        self.notes.push((self.number)());
    }
}

/// The number after each step, and before the first one, of a whole run; numbers are read every 20 steps.
fn noted(changes: &str, steps: u64, number: impl Fn() -> u64) -> Vec<u64> {
    let bench = Bench::new();
    let intervals = "--set train.log_every=20 --set guard.every=20 --set train.checkpoint_every=100000";
    let mut trainer = trainer(&bench, &format!("{changes} {intervals} --set train.steps={steps}"));
    let notes = vec![number()];
    let mut observer = Notes { number, notes };
    trainer.run(&mut observer, &AtomicBool::new(false)).unwrap();
    observer.notes
}

/// The guard looks and a line is written after steps 20 and 40; apart from these no step reads anything.
fn assert_reads_nothing(changes: &str) {
    ffi::count_reads().unwrap();
    let reads = noted(changes, 42, ffi::reads);
    assert_eq!(reads[0], reads[19], "reads in steps 1 to 19");
    assert!(reads[19] < reads[20], "the guard's look at step 20 is a read");
    assert!(reads[20] < reads[21], "the line of metrics of step 20 is a read");
    assert_eq!(reads[21], reads[39], "reads in steps 22 to 39");
}

#[test]
fn chains_of_the_buffer_read_nothing() {
    assert_reads_nothing("");
}

#[test]
fn a_reservoir_reads_nothing() {
    assert_reads_nothing(RESERVOIR);
}

#[test]
fn labels_and_chains_by_class_read_nothing() {
    assert_reads_nothing(BY_CLASS);
}

#[test]
fn chains_that_draw_their_class_read_nothing() {
    assert_reads_nothing(&format!("{JEM} --set objective.p_x_y_weight=0.5"));
}

#[test]
fn class_gaussians_read_nothing() {
    assert_reads_nothing(&format!("{JEM} {GAUSSIANS}"));
}

#[test]
fn improved_contrastive_divergence_reads_nothing() {
    assert_reads_nothing(IMPROVED);
}

/// The bytes of tensors after 1,000 steps, and after any before, are those after the first one.
fn assert_does_not_grow(changes: &str) {
    // SAFETY: the only thread that uses LibTorch.
    unsafe { ffi::count_cpu_bytes() }.unwrap();
    let bytes = noted(changes, 1000, || ffi::cpu_bytes().now);
    assert!(bytes[10] > bytes[0], "gradients are there after the first step");
    let other = bytes.iter().skip(1).position(|b| *b != bytes[1]);
    assert_eq!(
        other.map(|at| (at + 1, bytes[at + 1])),
        None,
        "{} bytes after the first step",
        bytes[1]
    );
}

#[test]
fn memory_of_chains_of_the_buffer_stays() {
    assert_does_not_grow("");
}

#[test]
fn memory_of_a_reservoir_stays() {
    assert_does_not_grow(RESERVOIR);
}

#[test]
fn memory_of_labels_and_chains_by_class_stays() {
    assert_does_not_grow(BY_CLASS);
}

#[test]
fn memory_of_chains_that_draw_their_class_stays() {
    assert_does_not_grow(&format!("{JEM} --set objective.p_x_y_weight=0.5"));
}

#[test]
fn memory_of_class_gaussians_stays() {
    assert_does_not_grow(&format!("{JEM} {GAUSSIANS}"));
}

#[test]
fn memory_of_improved_contrastive_divergence_stays() {
    assert_does_not_grow(IMPROVED);
}

/// What a chain of so many steps takes at most beyond what was there, in bytes.
fn peak_of_chain(kernel: &dyn Kernel, energy: &dyn Energy, x: &Tensor, steps: usize) -> u64 {
    let mut rng = Stream::new(1, "chain");
    let before = ffi::cpu_bytes().now;
    ffi::restart_cpu_peak();
    drop(run_chain(kernel, energy, x.shallow_clone(), steps, &mut rng));
    let bytes = ffi::cpu_bytes();
    assert_eq!(bytes.now, before, "a chain of {steps} steps leaves something behind");
    bytes.peak - before
}

#[test]
fn a_chain_of_a_hundred_steps_takes_what_one_step_takes() {
    // SAFETY: the only thread that uses LibTorch.
    unsafe { ffi::count_cpu_bytes() }.unwrap();
    let bench = Bench::new();
    let trainer = trainer(&bench, JEM);
    let sampler = trainer.experiment().sampler().unwrap();
    let network = trainer.state().model.as_network().unwrap();
    let x = Stream::new(0, "x").uniform(&[16, 1, 8, 8], -1.0, 1.0, Device::Cpu);
    let classes = Tensor::arange(16, (Kind::Int64, Device::Cpu)).remainder(2);
    for kind in [Kind::Float, Kind::BFloat16] {
        let kernel = sampler.kernel.build(100);
        let kernel = &*kernel;
        let marginal = FrozenEnergy::new(network, kind, sampler.temperature());
        let joint = marginal.given(Condition::Class(&classes));
        for energy in [&marginal as &dyn Energy, &joint] {
            // What oneDNN and autograd keep from their first use is there after this.
            warm_up(kernel, energy, &x);
            let [one, hundred] = [1, 100].map(|steps| peak_of_chain(kernel, energy, &x, steps));
            let image = x.numel() as u64 * 4;
            assert!(
                one >= 3 * image,
                "the states, their scratch and their gradient: {one} bytes"
            );
            assert_eq!(one, hundred, "{kind:?}");
        }
    }
}

/// A first chain, whose memory is not looked at.
fn warm_up(kernel: &dyn Kernel, energy: &dyn Energy, x: &Tensor) {
    let mut rng = Stream::new(0, "warm-up");
    drop(run_chain(kernel, energy, x.shallow_clone(), 2, &mut rng));
}
