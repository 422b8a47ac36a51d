//! What recording a step needs of everything else, on a CPU: counted draws, the host's part of a step apart from the
//! device's, and when chains are recorded at all. What only a GPU can show is in tests/cuda_graph.rs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ebm::config::yaml;
use ebm::energy::{Condition, Energy, FrozenEnergy, Tempered};
use ebm::experiment::{GuardConfig, TrainConfig};
use ebm::ffi::cuda;
use ebm::nn::Network;
use ebm::nn::NetworkConfig;
use ebm::optim::{Algorithm, LrSchedule, OptimizerConfig, ParamClip};
use ebm::optim::{Ema, Optimizer};
use ebm::rng::{self, Stream};
use ebm::sampling::{ChainRunner, ChainState, Facts, Kernel, Langevin, StepInfo, run_chain_watched};
use ebm::sampling::{CudaGraph, LangevinConfig};
use ebm::train::Guard;
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

const MODEL: &str = "
name: tiny
input: [1, 8, 8]
output: logits
normalize: {mean: [0.5], std: [0.25]}
layers:
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1}
  - silu
  - flatten
  - linear: {out: 3}
";

const SAMPLER: &str = "{step_size: 2, noise_scale: 0.1, clamp: [-1, 1]}";

fn parsed<T: DeserializeOwned>(text: &str) -> T {
    let place = std::path::Path::new("test.yaml");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
}

fn network() -> Network {
    Network::new(
        &parsed::<NetworkConfig>(MODEL),
        Device::Cpu,
        &mut Stream::new(3, "init"),
    )
    .unwrap()
}

fn frozen() -> FrozenEnergy {
    FrozenEnergy::new(&network(), Kind::Float, 1.0)
}

fn kernel(changes: &str) -> Langevin {
    let text = SAMPLER.replace('}', &format!("{changes}}}"));
    Langevin::new(&parsed::<LangevinConfig>(&text), 6)
}

fn uniform() -> Tensor {
    Tensor::rand([5], (Kind::Float, Device::Cpu))
}

#[test]
fn recorded_draws_are_counted_and_the_generator_is_left_alone() {
    let mut rng = Stream::new(1, "a");
    tch::manual_seed(5);
    let untouched = uniform();
    tch::manual_seed(5);
    let (value, draws) = rng::recorded(|| {
        rng.seed_next();
        rng.seed_next();
        7
    });
    assert_eq!((value, draws, rng.counter()), (7, 2, 2));
    assert_eq!(uniform(), untouched);
    // Afterwards a draw seeds again.
    assert_eq!(rng::recorded(|| ()), ((), 0));
    rng.seed_next();
    let seeded = uniform();
    tch::manual_seed(5);
    rng = Stream::new(1, "a");
    let _ = rng::recorded(|| (rng.seed_next(), rng.seed_next()));
    rng.seed_next();
    assert_eq!(uniform(), seeded);
    assert_ne!(seeded, untouched);
}

#[test]
fn a_replay_is_seeded_as_its_first_draw_and_counts_them_all() {
    let (mut plain, mut replayed) = (Stream::new(2, "b"), Stream::new(2, "b"));
    for _ in 0..3 {
        plain.seed_next();
        let expected = uniform();
        replayed.seed_replay(1);
        assert_eq!(uniform(), expected);
    }
    assert_eq!(plain, replayed);
    // Four draws a step: the fifth of the plain stream begins the second replay.
    let draw = |rng: &mut Stream| {
        rng.seed_next();
        uniform()
    };
    let expected: Vec<Tensor> = (0..8).map(|_| draw(&mut plain)).collect();
    for k in [0, 4] {
        replayed.seed_replay(4);
        assert_eq!(uniform(), expected[k]);
    }
    assert_eq!(plain, replayed);
    // Work without draws leaves stream and generator alone.
    tch::manual_seed(9);
    let untouched = uniform();
    tch::manual_seed(9);
    replayed.seed_replay(0);
    assert_eq!((uniform(), &replayed), (untouched, &plain));
}

#[test]
fn counting_ends_with_a_panic_and_host_numbers_cannot_be_recorded() {
    let mut rng = Stream::new(3, "c");
    let outcome = catch_unwind(AssertUnwindSafe(|| rng::recorded(|| drop(rng.host()))));
    let message = *outcome.unwrap_err().downcast::<&str>().unwrap();
    assert!(message.contains("cannot be recorded"), "{message}");
    tch::manual_seed(5);
    let unseeded = uniform();
    tch::manual_seed(5);
    rng.seed_next();
    assert_ne!(uniform(), unseeded, "a draw seeds again");
    drop(rng.host());
}

#[test]
fn on_a_cpu_a_runner_is_the_plain_chain_and_says_nothing() {
    let (kernel, energy) = (kernel(""), frozen());
    let mut runner = ChainRunner::new(CudaGraph::Auto);
    for n in [4, 2, 4] {
        let x = Stream::new(4, "x").uniform(&[n, 1, 8, 8], -1.0, 1.0, Device::Cpu);
        let (mut a, mut b) = (Stream::new(5, "noise"), Stream::new(5, "noise"));
        let (mut seen_a, mut seen_b) = (Vec::new(), Vec::new());
        let plain = run_chain_watched(&kernel, &energy, x.copy(), 6, &mut a, &mut |k: usize, x: &Tensor| {
            seen_a.push((k, x.copy()));
        });
        let run = runner.run(&kernel, &energy, x.copy(), 6, &mut b, &mut |k: usize, x: &Tensor| {
            seen_b.push((k, x.copy()));
        });
        assert_eq!((plain.x, plain.grad_norm), (run.x, run.grad_norm));
        assert_eq!((seen_a.len(), seen_a), (7, seen_b));
        assert_eq!(a, b);
    }
    assert_eq!(runner.take_notice(), None);
}

/// A kernel that says nothing of graphs, as most do.
#[derive(Debug)]
struct Plain(Langevin);

impl Kernel for Plain {
    fn facts(&self) -> Facts {
        self.0.facts()
    }

    fn words(&self) -> String {
        self.0.words()
    }

    fn step(&self, energy: &dyn Energy, s: ChainState, rng: &mut Stream) -> (ChainState, StepInfo) {
        self.0.step(energy, s, rng)
    }
}

/// An energy that says nothing of what it reads.
struct Nameless(FrozenEnergy);

impl Energy for Nameless {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.energy(x)
    }
}

#[test]
fn what_cannot_be_recorded_says_why_and_only_where_it_would_be() {
    let (auto, off) = (ChainRunner::new(CudaGraph::Auto), ChainRunner::new(CudaGraph::Off));
    let (langevin, plain, energy) = (kernel(""), Plain(kernel("")), frozen());
    let tempered = Tempered {
        energy: Nameless(frozen()),
        temperature: 2.0,
    };
    let cuda = Device::Cuda(0);
    assert_eq!(auto.obstacle(&plain, &tempered, Device::Cpu), None);
    assert_eq!(off.obstacle(&plain, &tempered, cuda), None);
    let because = |kernel: &dyn Kernel, energy: &dyn Energy| auto.obstacle(kernel, energy, cuda).unwrap_or_default();
    if !cuda::LINKED {
        assert_eq!(because(&langevin, &energy), cuda::NOT_LINKED);
        return;
    }
    assert_eq!(because(&langevin, &energy), "");
    assert!(because(&plain, &energy).contains("steps differ"));
    assert!(because(&langevin, &tempered).contains("depends on more"));
}

#[test]
fn a_kernel_is_homogeneous_without_schedules_and_told_apart_by_its_parameters() {
    let constant = kernel("");
    assert!(constant.identity().is_some());
    assert_eq!(constant.identity(), kernel("").identity());
    assert_ne!(constant.identity(), kernel(", grad_clip: {value: 0.5}").identity());
    for part in ["step", "noise"] {
        let scheduled = kernel(&format!(", {part}_schedule: {{linear: {{end: 0.1}}}}"));
        assert_eq!(scheduled.identity(), None);
    }
    assert_eq!(Plain(constant).identity(), None, "unless a kernel says so");
}

#[test]
fn an_energy_names_all_the_memory_that_it_reads() {
    let (mut energy, live) = (frozen(), network());
    let places = |e: &dyn Energy| -> Option<Vec<usize>> {
        e.identity()
            .map(|found| found.reads.iter().map(|t| t.data_ptr() as usize).collect())
    };
    let before = places(&energy).unwrap();
    // Two weights and two biases; scale and shift of the normalisation.
    assert_eq!(before.len(), 6);
    let x = Stream::new(6, "x").uniform(&[4, 1, 8, 8], -1.0, 1.0, Device::Cpu);
    let value = energy.energy(&x);
    for tensor in energy.identity().unwrap().reads {
        let kept = tensor.copy();
        let _ = tensor.shallow_clone().g_add_scalar_(0.5);
        assert_ne!(energy.energy(&x), value, "the energy is a function of it");
        tensor.shallow_clone().copy_(&kept);
    }
    energy.refresh(&live);
    assert_eq!(places(&energy).unwrap(), before, "a refreshed copy stays where it is");
    let classes = Tensor::from_slice(&[0i64, 1, 2, 0]);
    let of_class = places(&energy.given(Condition::Class(&classes))).unwrap();
    assert_eq!(of_class[..6], before);
    assert_eq!(of_class[6..], [classes.data_ptr() as usize]);
    assert_eq!(
        places(&energy.given(Condition::Between {
            from: &classes,
            to: &classes
        })),
        None,
        "its weight is the host's"
    );
}

const SHAPES: [&[i64]; 2] = [&[2, 3], &[3]];

fn parameters() -> Vec<(String, Tensor)> {
    let leaf = |(i, shape): (usize, &&[i64])| {
        let t = Stream::new(7, "weights").derive(i as u64).normal(shape, Device::Cpu);
        (format!("p{i}"), t.set_requires_grad(true))
    };
    SHAPES.iter().enumerate().map(leaf).collect()
}

fn set_gradients(params: &[(String, Tensor)], t: u64) {
    for (i, (_, p)) in params.iter().enumerate() {
        let slope = Stream::new(8, "slopes")
            .derive(100 * t + i as u64)
            .normal(SHAPES[i], Device::Cpu);
        (p * slope).sum(Kind::Float).backward();
    }
}

fn optimizers() -> Vec<OptimizerConfig> {
    let base = |algorithm| OptimizerConfig {
        algorithm,
        lr: 0.01,
        weight_decay: 0.05,
        warmup: 0,
        schedule: LrSchedule::Constant,
        grad_clip: Some(ParamClip::Norm(0.5)),
        ema: None,
        sam: None,
    };
    let (betas, eps) = ([0.5, 0.9], 1e-8);
    let mut clipped = base(Algorithm::Adam { betas, eps });
    clipped.grad_clip = Some(ParamClip::Moment { k: 1.5, floor: 0.1 });
    vec![
        base(Algorithm::Adam { betas, eps }),
        base(Algorithm::AdamW { betas, eps }),
        base(Algorithm::Sgd {
            momentum: 0.9,
            nesterov: true,
        }),
        clipped,
    ]
}

/// The trainer prepares before it clips, a loop by hand clips first: both are the same steps. The learning rate changes.
#[test]
fn a_prepared_step_is_the_step() {
    for cfg in optimizers() {
        let (whole, parts) = (parameters(), parameters());
        let (mut a, mut b) = (Optimizer::new(&cfg, &whole), Optimizer::new(&cfg, &parts));
        for t in 0..6 {
            let lr = 0.1 / (1.0 + t as f64);
            a.zero_grad();
            set_gradients(&whole, t);
            let norm = a.clip();
            a.step(lr);
            b.prepare(lr);
            b.zero_grad();
            set_gradients(&parts, t);
            assert_eq!(b.clip_prepared(), norm);
            b.step_prepared();
            assert_eq!(whole, parts, "{cfg:?}, step {t}");
            assert_eq!(a.state(), b.state());
        }
    }
}

/// What a graph replays: the device's part knows nothing of how many steps there were but what `prepare` wrote.
#[test]
fn the_devices_part_takes_nothing_from_the_host() {
    for cfg in optimizers() {
        let params = parameters();
        let mut optimizer = Optimizer::new(&cfg, &params);
        set_gradients(&params, 1);
        optimizer.prepare(0.01);
        let _norm = optimizer.clip_prepared();
        optimizer.step_prepared();
        let steps = optimizer.steps();
        optimizer.step_prepared();
        assert_eq!(optimizer.steps(), steps);
        let places = |o: &Optimizer| -> Vec<usize> { o.state().iter().map(|(_, t)| t.data_ptr() as usize).collect() };
        let (before, n) = (places(&optimizer), optimizer.state().len() - 1);
        optimizer.prepare(0.02);
        optimizer.step_prepared();
        assert_eq!(places(&optimizer)[..n], before[..n], "moments stay where they are");
    }
    let mut source = parameters();
    let mut average = Ema::new(0.9, &source);
    average.prepare();
    average.update_prepared(&source);
    // With equal weights every update leaves them; then one share of a change of 1, whatever the count.
    {
        let _guard = tch::no_grad_guard();
        source.iter_mut().for_each(|(_, p)| drop(p.g_add_scalar_(1.0)));
    }
    let moved = |average: &mut Ema| {
        let before = average.weights()[1].1.copy();
        average.update_prepared(&source);
        (&average.weights()[1].1 - before).mean(Kind::Double).double_value(&[])
    };
    // d is 1 / 10 at the first update: 0.9 of the way, and again 0.9 of what is left.
    assert!((moved(&mut average) - 0.9).abs() < 1e-6);
    assert!((moved(&mut average) - 0.09).abs() < 1e-6);
    average.prepare();
    // Now d is 2 / 11: of the remaining 0.01 it takes 9 / 11.
    assert!((moved(&mut average) - 0.01 * 9.0 / 11.0).abs() < 1e-6);
}

#[test]
fn the_guards_flags_stay_in_their_memory_and_hold_no_graph() {
    let mut guard = Guard::new(&GuardConfig::default(), Device::Cpu);
    let w = Tensor::from(2.0f32).set_requires_grad(true);
    let loss = &w * 3.0;
    guard.watch(&[&w * Tensor::ones([2], (Kind::Float, Device::Cpu))], &loss, &w);
    let (flags, _) = guard.state();
    assert!(!flags.requires_grad());
    assert_eq!(Vec::<f64>::try_from(flags).unwrap(), [2.0, 6.0, 2.0]);
    guard.watch(&[Tensor::from_slice(&[1f32])], &Tensor::from(9f32), &Tensor::from(0f32));
    assert_eq!(Vec::<f64>::try_from(guard.state().0).unwrap(), [2.0, 9.0, 2.0]);
    assert!(guard.look(10, &[]).is_none());
    assert_eq!(Vec::<f64>::try_from(guard.state().0).unwrap(), [0.0; 3]);
}

#[test]
fn the_key_is_auto_unless_it_is_off() {
    let read = |text: &str| {
        let place = std::path::Path::new("test.yaml");
        yaml::typed::<TrainConfig>(yaml::parse(text, place).unwrap(), place)
    };
    assert_eq!(read("{steps: 1, batch_size: 1}").unwrap().cuda_graph, CudaGraph::Auto);
    let off = read("{steps: 1, batch_size: 1, cuda_graph: off}").unwrap();
    assert_eq!(off.cuda_graph, CudaGraph::Off);
    assert_eq!(yaml::to_value(&off)["cuda_graph"].as_str(), Some("off"));
    let error = read("{steps: 1, batch_size: 1, cuda_graph: on}")
        .unwrap_err()
        .to_string();
    assert!(error.contains("cuda_graph") && error.contains("auto"), "{error}");
}

/// An exception of LibTorch is an error here, and never the end of the process.
#[test]
fn where_there_is_no_device_every_call_is_an_error() {
    // The flag is the process's own, whatever devices there are; without CUDA there is none.
    let flagged = [cuda::SyncDebug::Error, cuda::SyncDebug::Off].map(cuda::set_sync_debug);
    assert_eq!(flagged.map(|set| set.is_ok()), [cuda::LINKED; 2]);
    if tch::Cuda::is_available() {
        println!("not run further: there is a CUDA device");
        return;
    }
    let answers = [
        cuda::SideStream::new(0).map(drop),
        cuda::synchronize(0),
        cuda::memory(0).map(drop),
        cuda::reset_peak(0),
    ];
    for answer in answers {
        let text = answer.unwrap_err();
        println!("{text}");
        assert!(!text.is_empty() && (cuda::LINKED || text == cuda::NOT_LINKED), "{text}");
    }
}
