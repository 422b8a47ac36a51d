//! The replay buffer and where chains start.
//!
//! Shares of n draws with probability p have the standard error sqrt(p (1 - p) / n); five are allowed. A chi-square of
//! d degrees of freedom has mean d and variance 2 d; d + 5 sqrt(2 d) is allowed.

use std::collections::BTreeSet;
use std::path::Path;

use ebm::data::Images;
use ebm::experiment::Experiment;
use ebm::files::Named;
use ebm::rng::Stream;
use ebm::sampling::replay::ReplayBuffer;
use ebm::sampling::replay::{BufferConfig, Replacement, Storage};
use ebm::sampling::{InitialDistribution, Positions, Starter};
use ebm::space::Space;
use tch::{Device, Kind, Tensor};

const SIGMAS: f64 = 5.0;

fn config(size: usize, reinit_prob: f64) -> BufferConfig {
    BufferConfig {
        size,
        reinit_prob,
        storage: Storage::F32,
        replacement: Replacement::InPlace,
        augment: None,
    }
}

/// One pixel a chain, so a chain can carry its own number.
fn chains(values: &[f32]) -> Tensor {
    Tensor::from_slice(values).view([-1, 1, 1, 1])
}

fn numbered(n: usize) -> Tensor {
    chains(&(0..n).map(|i| i as f32).collect::<Vec<_>>())
}

fn floats(t: &Tensor) -> Vec<f32> {
    Vec::try_from(t.to_kind(Kind::Float).flatten(0, -1)).unwrap()
}

fn integers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t).unwrap()
}

fn field(buffer: &ReplayBuffer, name: &str) -> Tensor {
    buffer.state().into_iter().find(|(n, _)| n == name).unwrap().1
}

/// Fresh chains are marked by the value -1.
fn minus_one(n: i64, _: &mut Stream) -> ebm::Result<Tensor> {
    Ok(Tensor::full([n, 1, 1, 1], -1.0, (Kind::Float, Device::Cpu)))
}

#[test]
fn slots_of_a_draw_are_distinct_and_all_are_drawn_alike() {
    let mut rng = Stream::new(1, "buffer");
    let buffer = ReplayBuffer::new(&config(100, 0.0), numbered(100), &mut rng);
    let (draws, n) = (2000, 64);
    let mut counts = [0u32; 100];
    for _ in 0..draws {
        let drawn = buffer.draw(n, minus_one, &mut rng).unwrap();
        let slots = integers(&drawn.origin.slots);
        assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), n as usize);
        assert_eq!(floats(&drawn.x), slots.iter().map(|&s| s as f32).collect::<Vec<_>>());
        slots.iter().for_each(|&s| counts[s as usize] += 1);
    }
    let p = n as f64 / 100.0;
    for count in counts {
        let z = (f64::from(count) / f64::from(draws) - p) / (p * (1.0 - p) / f64::from(draws)).sqrt();
        assert!(z.abs() < SIGMAS, "{count} of {draws}");
    }
}

#[test]
fn chains_go_on_in_their_own_slots() {
    let mut rng = Stream::new(2, "buffer");
    let mut buffer = ReplayBuffer::new(&config(10, 0.0), numbered(10), &mut rng);
    let mut expected: Vec<f32> = floats(&numbered(10));
    for _ in 0..50 {
        let drawn = buffer.draw(4, minus_one, &mut rng).unwrap();
        buffer.put(&drawn.origin, &(&drawn.x + 100.0), 1, &mut rng);
        integers(&drawn.origin.slots)
            .iter()
            .for_each(|&s| expected[s as usize] += 100.0);
        assert_eq!(floats(&field(&buffer, "chains")), expected);
    }
}

#[test]
fn a_draw_is_a_copy() {
    let mut rng = Stream::new(3, "buffer");
    let buffer = ReplayBuffer::new(&config(10, 0.0), numbered(10), &mut rng);
    let mut x = buffer.draw(10, minus_one, &mut rng).unwrap().x;
    let _ = x.fill_(7.0);
    assert_eq!(floats(&field(&buffer, "chains")), floats(&numbered(10)));
}

#[test]
fn chains_start_afresh_as_often_as_asked() {
    let mut rng = Stream::new(4, "buffer");
    for p in [0.0, 0.05, 0.5, 1.0] {
        let buffer = ReplayBuffer::new(&config(100, p), numbered(100), &mut rng);
        let (mut fresh, mut fresh_slots) = (0, [0u32; 100]);
        for _ in 0..1000 {
            let drawn = buffer.draw(50, minus_one, &mut rng).unwrap();
            let (x, slots) = (floats(&drawn.x), integers(&drawn.origin.slots));
            let kept = 50 - drawn.origin.fresh as usize;
            assert!(x[..kept].iter().all(|&v| v >= 0.0) && x[kept..].iter().all(|&v| v == -1.0));
            slots[kept..].iter().for_each(|&s| fresh_slots[s as usize] += 1);
            fresh += drawn.origin.fresh;
        }
        let error = (p * (1.0 - p) / 50_000.0).sqrt();
        assert!(
            (fresh as f64 / 50_000.0 - p).abs() <= SIGMAS * error,
            "{fresh} of 50000 at {p}"
        );
        // No slot is spared: each is fresh with probability p / 2 a draw.
        let q = p / 2.0;
        for count in fresh_slots {
            assert!((f64::from(count) / 1000.0 - q).abs() <= SIGMAS * (q * (1.0 - q) / 1000.0).sqrt());
        }
    }
}

#[test]
fn age_and_reuse_count_from_the_start_of_a_chain() {
    let mut rng = Stream::new(5, "buffer");
    let mut buffer = ReplayBuffer::new(&config(8, 0.3), numbered(8), &mut rng);
    let (mut age, mut reuse) = ([0i64; 8], [0i64; 8]);
    for k in 1..200 {
        let drawn = buffer.draw(5, minus_one, &mut rng).unwrap();
        buffer.put(&drawn.origin, &drawn.x, k, &mut rng);
        let kept = 5 - drawn.origin.fresh as usize;
        for (row, slot) in integers(&drawn.origin.slots).into_iter().enumerate() {
            let slot = slot as usize;
            let on = row < kept;
            age[slot] = if on { age[slot] } else { 0 } + k as i64;
            reuse[slot] = if on { reuse[slot] + 1 } else { 0 };
        }
        assert_eq!(integers(&field(&buffer, "age")), age);
        assert_eq!(integers(&field(&buffer, "reuse")), reuse);
        let stats = buffer.stats();
        let mean = |v: [i64; 8]| v.iter().sum::<i64>() as f64 / 8.0;
        assert_eq!(stats.mean_age.double_value(&[]), mean(age));
        assert_eq!(stats.mean_reuse.double_value(&[]), mean(reuse));
        assert_eq!(stats.max_age.double_value(&[]), *age.iter().max().unwrap() as f64);
        assert_eq!(stats.max_reuse.double_value(&[]), *reuse.iter().max().unwrap() as f64);
    }
}

#[test]
fn u8_storage_rounds_without_bias_and_keeps_levels() {
    let mut rng = Stream::new(6, "buffer");
    let n = 200_000;
    let cfg = BufferConfig {
        storage: Storage::U8,
        ..config(n, 0.0)
    };
    let step = 2.0 / 255.0;
    for value in [-1.0, -0.5, 0.3 * step - 1.0, 0.1, 0.77, 1.0] {
        let initial = Tensor::full([n as i64, 1, 1, 1], value, (Kind::Float, Device::Cpu));
        let buffer = ReplayBuffer::new(&cfg, initial, &mut rng);
        assert_eq!(field(&buffer, "chains").kind(), Kind::Uint8);
        let x = buffer.peek(n as i64, &mut rng);
        assert!(
            (&x - value).abs().max().double_value(&[]) <= step + 1e-6,
            "a neighbouring level"
        );
        let mean = x.mean(Kind::Double).double_value(&[]);
        // Between two levels a share q goes up: standard deviation sqrt(q (1 - q)) levels; 1e-7 for f32.
        let q = ((value + 1.0) / step).fract();
        let error = step * (q * (1.0 - q) / n as f64).sqrt();
        assert!((mean - value).abs() <= SIGMAS * error + 1e-6, "{value}: {mean}");
    }
    // Levels come back as themselves, what lies outside as the ends.
    let cfg = BufferConfig {
        storage: Storage::U8,
        ..config(258, 0.0)
    };
    let mut values: Vec<f32> = (0..256).map(|i| i as f32 / 127.5 - 1.0).collect();
    values.extend([-3.0, 3.0]);
    let buffer = ReplayBuffer::new(&cfg, chains(&values), &mut rng);
    let drawn = buffer.draw(258, minus_one, &mut rng).unwrap();
    for (slot, got) in integers(&drawn.origin.slots).into_iter().zip(floats(&drawn.x)) {
        assert_eq!(got, values[slot as usize].clamp(-1.0, 1.0), "slot {slot}");
    }
}

/// After t chains every one of them is in a buffer of S with probability S / t, whenever it came.
#[test]
fn reservoir_holds_each_past_chain_alike() {
    let (size, batch, rounds, runs) = (8, 4, 10, 3000);
    let cfg = BufferConfig {
        replacement: Replacement::Reservoir,
        ..config(size, 0.0)
    };
    let total = batch * rounds;
    let mut counts = vec![0u32; total];
    let mut rng = Stream::new(7, "buffer");
    for _ in 0..runs {
        let mut buffer = ReplayBuffer::new(&cfg, chains(&[-1.0; 8]), &mut rng);
        for round in 0..rounds {
            let drawn = buffer.draw(batch as i64, minus_one, &mut rng).unwrap();
            let x = numbered(batch) + (batch * round) as f64;
            buffer.put(&drawn.origin, &x, 1, &mut rng);
        }
        let held = floats(&field(&buffer, "chains"));
        let distinct: BTreeSet<i64> = held.iter().map(|&v| v as i64).collect();
        assert_eq!(distinct.len(), size, "a chain stands in one slot only: {held:?}");
        held.iter().for_each(|&v| counts[v as usize] += 1);
    }
    let p = size as f64 / total as f64;
    let n = f64::from(runs);
    // Counts of a run sum to S, which takes one degree of freedom and a factor.
    let chi2: f64 = counts
        .iter()
        .map(|&c| (f64::from(c) - n * p).powi(2) / (n * p * (1.0 - p)))
        .sum::<f64>()
        * (total - 1) as f64
        / total as f64;
    let d = (total - 1) as f64;
    println!("chi-square {chi2:.1} with {d} degrees of freedom");
    assert!((chi2 - d).abs() < SIGMAS * (2.0 * d).sqrt(), "{counts:?}");
}

#[test]
fn a_reservoir_leaves_drawn_chains_where_they_are() {
    let cfg = BufferConfig {
        replacement: Replacement::Reservoir,
        ..config(6, 0.0)
    };
    let mut rng = Stream::new(8, "buffer");
    let mut buffer = ReplayBuffer::new(&cfg, chains(&[-1.0; 6]), &mut rng);
    let mut origins = Vec::new();
    for round in 0..2 {
        let drawn = buffer.draw(3, minus_one, &mut rng).unwrap();
        buffer.put(&drawn.origin, &(numbered(3) + 3.0 * f64::from(round)), 5, &mut rng);
        origins.push(drawn.origin);
    }
    // Until it is full, chains take the slots in turn, with what they have behind them.
    assert_eq!(floats(&field(&buffer, "chains")), floats(&numbered(6)));
    assert!(integers(&field(&buffer, "age")).iter().all(|&a| a == 5 || a == 10));
    assert_eq!(integers(&field(&buffer, "stored")), [6]);
}

#[test]
fn state_goes_round_and_the_run_goes_on_as_it_was() {
    for (storage, replacement, replicas) in [
        (Storage::F32, Replacement::InPlace, 0),
        (Storage::U8, Replacement::Reservoir, 0),
        (Storage::F32, Replacement::Reservoir, 2),
        (Storage::U8, Replacement::InPlace, 3),
    ] {
        let cfg = BufferConfig {
            storage,
            replacement,
            ..config(16, 0.2)
        };
        let fill = |seed| Stream::new(seed, "fill").uniform(&[16, 1, 2, 2], -1.0, 1.0, Device::Cpu);
        let fresh = |n: i64, rng: &mut Stream| Ok(rng.uniform(&[n, 1, 2, 2], -1.0, 1.0, Device::Cpu));
        let go_on = |buffer: &mut ReplayBuffer, rng: &mut Stream| {
            for _ in 0..10 {
                let drawn = buffer.draw(6, fresh, rng).unwrap();
                let ends = Positions {
                    x: drawn.x * 0.9,
                    replicas: drawn.replicas.into_iter().map(|replica| replica * 0.8).collect(),
                };
                buffer.put(&drawn.origin, ends, 3, rng);
            }
        };
        let copies = |b: &ReplayBuffer| -> Named { b.state().into_iter().map(|(n, t)| (n, t.copy())).collect() };
        let mut rng = Stream::new(9, "buffer");
        let mut whole = ReplayBuffer::new(&cfg, fill(1), &mut rng).with_replicas(replicas);
        go_on(&mut whole, &mut rng);
        let (saved, saved_rng) = (copies(&whole), rng.clone());
        go_on(&mut whole, &mut rng);
        let mut resumed = ReplayBuffer::new(&cfg, fill(2), &mut rng).with_replicas(replicas);
        resumed.load_state(&saved, "checkpoint").unwrap();
        assert_eq!(copies(&resumed), saved);
        go_on(&mut resumed, &mut saved_rng.clone());
        assert_eq!(copies(&resumed), copies(&whole), "{storage:?}, {replacement:?}");
    }
}

#[test]
fn loading_is_strict() {
    let mut rng = Stream::new(10, "buffer");
    let mut buffer = ReplayBuffer::new(&config(4, 0.0), numbered(4), &mut rng);
    let good: Named = buffer.state().into_iter().map(|(n, t)| (n, t.copy() + 1)).collect();
    let break_it = |change: &dyn Fn(&mut Named)| {
        let mut bad: Named = good.iter().map(|(n, t)| (n.clone(), t.copy())).collect();
        change(&mut bad);
        bad
    };
    let bad = [
        (break_it(&|b| drop(b.remove("age"))), "`age` is missing"),
        (
            break_it(&|b| drop(b.insert("more".into(), numbered(4)))),
            "`more` is not expected",
        ),
        (
            break_it(&|b| drop(b.insert("chains".into(), numbered(5)))),
            "`chains` has shape",
        ),
        (
            break_it(&|b| drop(b.insert("reuse".into(), numbered(4).view([4])))),
            "`reuse` is Float",
        ),
    ];
    for (named, what) in &bad {
        let message = buffer
            .load_state(named, "checkpoint of step 7")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(what) && message.contains("checkpoint of step 7"),
            "{message}"
        );
        assert_eq!(
            floats(&field(&buffer, "chains")),
            floats(&numbered(4)),
            "nothing was copied"
        );
        assert_eq!(integers(&field(&buffer, "age")), [0; 4]);
    }
    buffer.load_state(&good, "checkpoint").unwrap();
    assert_eq!(floats(&field(&buffer, "chains")), [1.0, 2.0, 3.0, 4.0]);
}

/// The largest distance of the empirical distribution from `cdf`, times sqrt(n); above 2.5 once in 130,000 times
/// (Kolmogorov: 2 exp(-2 d^2)).
fn kolmogorov(x: &Tensor, cdf: impl Fn(f64) -> f64) -> f64 {
    let mut v = floats(x);
    v.sort_by(f32::total_cmp);
    let n = v.len() as f64;
    let gaps = v.iter().enumerate().map(|(i, &x)| {
        let p = cdf(f64::from(x));
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    });
    gaps.fold(0.0, f64::max) * n.sqrt()
}

/// The normal distribution function by the trapezoid rule on the density.
fn normal_cdf(z: f64) -> f64 {
    let z = z.clamp(-9.0, 9.0);
    let n = 2000;
    let h = z / f64::from(n);
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let inner: f64 = (1..n).map(|i| density(h * f64::from(i))).sum();
    0.5 + h * (inner + (density(0.0) + density(z)) / 2.0)
}

#[test]
fn every_initial_distribution() {
    let (device, shape) = (Device::Cpu, Space::of(&[2, 5, 5]));
    let mut rng = Stream::new(11, "start");
    let mut fresh = |init: InitialDistribution, data| {
        Starter::new(&init, &shape, data, device).map(|s| s.draw(400, None, &mut rng))
    };
    let x = fresh(InitialDistribution::Uniform(-0.5, 1.5), None).unwrap();
    assert_eq!(x.size(), [400, 2, 5, 5]);
    assert!(kolmogorov(&x, |v| ((v + 0.5) / 2.0).clamp(0.0, 1.0)) < 2.5);
    let x = fresh(InitialDistribution::Gaussian { mean: 0.2, std: 0.7 }, None).unwrap();
    assert!(kolmogorov(&x, |v| normal_cdf((v - 0.2) / 0.7)) < 2.5);
    let levels = Stream::new(12, "images").integers(256, 50 * 2 * 5 * 5, device);
    let source = Images::unlabelled(levels.to_kind(Kind::Uint8).view([50, 2, 5, 5]));
    let images = source.chunk(0, 50);
    let x = fresh(InitialDistribution::Data, Some(&source)).unwrap();
    let distance = |x: &Tensor| {
        (x.unsqueeze(1) - images.unsqueeze(0))
            .abs()
            .amax([2, 3, 4], false)
            .min_dim(1, false)
    };
    let (nearest, which) = distance(&x);
    assert_eq!(nearest.max().double_value(&[]), 0.0, "each is an image of the data");
    assert!(
        integers(&which).into_iter().collect::<BTreeSet<_>>().len() > 40,
        "and not always the same"
    );
    let noisy = fresh(InitialDistribution::NoisyData { std: 0.01 }, Some(&source)).unwrap();
    let (_, which) = distance(&noisy);
    assert!(kolmogorov(&(noisy - images.index_select(0, &which)), |v| normal_cdf(v / 0.01)) < 2.5);
}

#[test]
fn a_start_from_data_needs_data_of_the_right_shape() {
    let make =
        |data: Option<&Images>| Starter::new(&InitialDistribution::Data, &Space::of(&[1, 4, 4]), data, Device::Cpu);
    let images = |n: i64, c: i64| Images::unlabelled(Tensor::zeros([n, c, 4, 4], (Kind::Uint8, Device::Cpu)));
    for missing in [make(None), make(Some(&images(0, 1)))] {
        let missing = missing.unwrap_err();
        assert!(
            missing.is_input() && missing.to_string().contains("no data"),
            "{missing}"
        );
    }
    let wrong = make(Some(&images(2, 3))).unwrap_err();
    assert!(wrong.to_string().contains("[3, 4, 4]"), "{wrong}");
}

#[test]
fn u8_storage_asks_for_chains_that_stay_inside() {
    let text = |sampler: &str| {
        format!(
            "data: {{dataset: {{strokes: {{}}}}}}\nmodel: {{name: m, input: [1, 8, 8], layers: [flatten, {{linear: {{out: 1}}}}]}}\n\
             sampler: {{n_steps: 2, step_size: 1{sampler}}}\nbuffer: {{storage: u8}}\n\
             optimizer: {{algorithm: {{adam: {{}}}}, lr: 0.001}}\ntrain: {{steps: 1, batch_size: 4}}\n"
        )
    };
    let check = |sampler: &str| Experiment::from_text(&text(sampler), Path::new("e.yaml"), &[]);
    check(", clamp: [-1, 1]").unwrap();
    check(", clamp: [-1, 1], order: [noise, gradient, clamp]").unwrap();
    for bad in [
        "",
        ", clamp: [-2, 2]",
        ", clamp: [-1, 1], order: [gradient, clamp, noise]",
    ] {
        let message = check(bad).unwrap_err().to_string();
        assert!(message.contains("buffer.storage"), "{bad}: {message}");
    }
}

/// Chains that were put back are numbered from 100 on, and their replicas a quarter and a half further.
#[test]
fn replicas_go_where_their_chain_goes() {
    for replacement in [Replacement::InPlace, Replacement::Reservoir] {
        let cfg = BufferConfig {
            replacement,
            ..config(8, 0.3)
        };
        let rng = &mut Stream::new(14, "replicas");
        let mut buffer = ReplayBuffer::new(&cfg, numbered(8), rng).with_replicas(2);
        let (mut fresh, mut kept) = (0, 0);
        for round in 1..60 {
            let drawn = buffer.draw(5, minus_one, rng).unwrap();
            assert_eq!(drawn.replicas.len(), 2);
            for (replicas, further) in drawn.replicas.iter().zip([0.25, 0.5]) {
                for (chain, replica) in floats(&drawn.x).into_iter().zip(floats(replicas)) {
                    let moved = chain >= 100.0;
                    assert_eq!(replica, if moved { chain + further } else { chain });
                    fresh += i32::from(chain == -1.0);
                    kept += i32::from(moved);
                }
            }
            let x = numbered(5) + f64::from(100 * round);
            let replicas = vec![&x + 0.25, &x + 0.5];
            buffer.put(&drawn.origin, Positions { x, replicas }, 1, rng);
        }
        assert!(fresh > 50 && kept > 50, "{fresh} fresh, {kept} kept");
    }
}

#[test]
fn replicas_that_were_not_saved_are_copies_of_their_chains() {
    let rng = &mut Stream::new(15, "replicas");
    let saved: Named = ReplayBuffer::new(&config(4, 0.0), numbered(4), rng)
        .state()
        .into_iter()
        .collect();
    let mut buffer = ReplayBuffer::new(&config(4, 0.0), chains(&[7.0; 4]), rng).with_replicas(2);
    buffer.load_state(&saved, "checkpoint").unwrap();
    assert_eq!(
        floats(&field(&buffer, "replicas")),
        [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    );
    assert_eq!(ReplayBuffer::saved_replicas(&buffer.state().into_iter().collect()), 2);
    assert_eq!(ReplayBuffer::saved_replicas(&saved), 0);
}

/// What ends its steps inside does so at every rung.
#[test]
fn u8_storage_holds_replicas_that_stay_inside() {
    let text = |kernel: &str| {
        format!(
            "data: {{dataset: {{strokes: {{}}}}}}\nmodel: {{name: m, input: [1, 8, 8], layers: [flatten, {{linear: {{out: 1}}}}]}}\n\
             sampler: {{n_steps: 2, kernel: {{tempering: {{temperatures: [2, 5], kernel: {kernel}}}}}}}\nbuffer: {{storage: u8}}\n\
             optimizer: {{algorithm: {{adam: {{}}}}, lr: 0.001}}\ntrain: {{steps: 1, batch_size: 4}}\n"
        )
    };
    let check = |kernel: &str| Experiment::from_text(&text(kernel), Path::new("e.yaml"), &[]);
    let inside = check("{langevin: {step_size: 1, clamp: [-1, 1]}}").unwrap();
    assert_eq!(inside.kept_replicas(), 2);
    let message = check("{mala: {step_size: 1}}").unwrap_err().to_string();
    assert!(message.contains("buffer.storage"), "{message}");
}
