//! Attacks against closed forms: linear classifiers, constraint sets, gradients through Langevin steps.

use std::path::Path;

use ebm::config::yaml;
use ebm::data::{Images, to_u8};
use ebm::energy::{Energy, FrozenEnergy, energy_and_grad_with_graph};
use ebm::eval::{Attack, Attacked, Defence, Norm, RobustCurve, Through, attack};
use ebm::nn::Network;
use ebm::nn::NetworkConfig;
use ebm::rng::Stream;
use ebm::sampling::LangevinConfig;
use ebm::sampling::{GraphStep, Kernel, Langevin, run_chain};
use tch::{Device, Kind, Tensor};

const LINEAR: &str = "{name: linear, input: [1, 3, 4], output: logits, layers: [flatten, {linear: {out: 3}}]}";
const SMOOTH: &str = "{name: smooth, input: [1, 6, 6], output: logits, init: !orthogonal {gain: 3.0},
  layers: [{conv: {out: 6, kernel: 3}}, silu, flatten, {linear: {out: 4}}]}";

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let path = Path::new("inline");
    yaml::typed(
        yaml::parse(
            &text.replace("!orthogonal {gain: 3.0}", "{orthogonal: {gain: 3.0}}"),
            path,
        )
        .unwrap(),
        path,
    )
    .unwrap()
}

fn classifier(model: &str, seed: u64) -> FrozenEnergy {
    // Tensors this small are slower on several threads.
    tch::set_num_threads(1);
    let model: NetworkConfig = parsed(model);
    let network = Network::new(&model, Device::Cpu, &mut Stream::new(seed, "init")).unwrap();
    FrozenEnergy::new(&network, Kind::Float, 1.0)
}

fn sampler(text: &str) -> LangevinConfig {
    parsed(&format!("{{{text}}}"))
}

fn kernel(cfg: &LangevinConfig) -> Option<Box<dyn Kernel>> {
    Some(Box::new(Langevin::new(cfg, 10)))
}

fn plain(energy: &FrozenEnergy) -> Defence<'_> {
    Defence::new(energy, None, 0, 1, 0.0)
}

fn pgd(norm: Norm, epsilon: f64) -> Attack {
    Attack {
        norm,
        epsilon,
        steps: 40,
        step_size: Some(epsilon),
        restarts: 1,
        through: Through::Defence,
        draws: 1,
    }
}

fn predicted(energy: &FrozenEnergy, x: &Tensor) -> Tensor {
    energy.network().forward(x).argmax(1, false)
}

fn numbers(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).reshape(-1)).unwrap()
}

fn bools(t: &Tensor) -> Vec<bool> {
    numbers(&t.to_kind(Kind::Float)).iter().map(|v| *v > 0.5).collect()
}

/// A linear classifier of two classes, its weights and bias given, by the file of weights that any network takes.
fn two_classes(w: &Tensor, scale: f64) -> FrozenEnergy {
    let model: NetworkConfig = parsed(&LINEAR.replace("out: 3", "out: 2"));
    let network = Network::new(&model, Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    let named = network.state().into_iter().map(|(name, t)| match t.dim() {
        2 => (name, w * scale),
        _ => (name, Tensor::from_slice(&[0.3f32, -0.2])),
    });
    network.load(&named.collect(), "test").unwrap();
    FrozenEnergy::new(&network, Kind::Float, 1.0)
}

/// f_0 - f_1 falls by at most eps |w_0 - w_1|_1 in an Linf ball and eps |w_0 - w_1|_2 in an L2 ball, eps twice as large
/// in images of [-1, 1]; the images stay away from the ends, so that both are reached. Also for a classifier so certain
/// that a cross-entropy in f32 is flat (log odds of some hundreds).
#[test]
fn a_linear_classifier_meets_its_worst_case() {
    let w = Stream::new(2, "w").normal(&[2, 12], Device::Cpu);
    let away = w.get(0) - w.get(1);
    for scale in [1.0, 300.0] {
        let energy = two_classes(&w, scale);
        let x = Stream::new(3, "x").uniform(&[16, 1, 3, 4], -0.6, 0.6, Device::Cpu);
        let labels = predicted(&energy, &x);
        let sign = 1.0 - labels.to_kind(Kind::Float) * 2.0;
        let margin = |x: &Tensor| {
            let f = energy.network().forward(x);
            (f.select(1, 0) - f.select(1, 1)) * &sign
        };
        for (norm, length) in [(Norm::Linf, away.abs().sum(Kind::Float)), (Norm::L2, away.norm())] {
            let found = attack(
                &pgd(norm, 0.1),
                &plain(&energy),
                &x,
                &labels,
                None,
                &Stream::new(4, "attack"),
            );
            let least = margin(&x) - length * (0.2 * scale);
            let gap = numbers(&((margin(&found.images) - &least) / scale));
            // Rounding of sums of a dozen products near 1; a few times that along the way.
            assert!(gap.iter().all(|g| g.abs() < 2e-5), "{norm:?} {scale}: {gap:?}");
            let fooled: Vec<bool> = numbers(&least).iter().map(|m| *m < 0.0).collect();
            assert!(fooled.contains(&true) && fooled.contains(&false));
            assert_eq!(bools(&found.fooled), fooled, "{norm:?} {scale}");
        }
    }
}

#[test]
fn every_candidate_lies_in_its_ball_and_among_the_images() {
    let energy = classifier(SMOOTH, 5);
    let mut rng = Stream::new(6, "x");
    // Many numbers at the ends and beyond half of the way to them.
    let x = (rng.normal(&[32, 1, 6, 6], Device::Cpu) * 2.0).clamp(-1.0, 1.0);
    let labels = predicted(&energy, &x);
    for (norm, epsilon) in [
        (Norm::Linf, 8.0 / 255.0),
        (Norm::Linf, 0.9),
        (Norm::L2, 0.5),
        (Norm::L2, 5.0),
        (Norm::L2, 0.0),
    ] {
        let attacked = |steps: usize| {
            let settings = Attack {
                steps,
                step_size: None,
                ..pgd(norm, epsilon)
            };
            attack(&settings, &plain(&energy), &x, &labels, None, &Stream::new(7, "attack")).images
        };
        for steps in [0, 1, 5] {
            let found = attacked(steps);
            assert!(found.abs().max().double_value(&[]) <= 1.0, "{norm:?}");
            match norm {
                Norm::Linf => {
                    // The ends of the interval as f32 has them, exactly.
                    let (low, high) = (&x - 2.0 * epsilon, &x + 2.0 * epsilon);
                    assert!(bools(&found.ge_tensor(&low)).iter().all(|b| *b));
                    assert!(bools(&found.le_tensor(&high)).iter().all(|b| *b));
                }
                Norm::L2 => {
                    let away = (found.to_kind(Kind::Double) - x.to_kind(Kind::Double)).norm_scalaropt_dim(
                        2.0,
                        [1, 2, 3],
                        false,
                    );
                    // A rounding of each number of up to 1, of 36 of them.
                    let limit = 2.0 * epsilon + 6.0 * f64::from(f32::EPSILON);
                    assert!(away.max().double_value(&[]) <= limit, "{epsilon}: {away}");
                }
            }
        }
    }
}

#[test]
fn more_restarts_and_larger_balls_never_find_less() {
    let energy = classifier(SMOOTH, 8);
    let x = Stream::new(9, "x").uniform(&[64, 1, 6, 6], -1.0, 1.0, Device::Cpu);
    let labels = predicted(&energy, &x);
    let rng = Stream::new(10, "attack");
    for norm in [Norm::Linf, Norm::L2] {
        let epsilon = if norm == Norm::Linf { 0.004 } else { 0.02 };
        let found: Vec<Attacked> = (0..5)
            .map(|restarts| {
                let settings = Attack {
                    restarts,
                    steps: 2,
                    step_size: None,
                    ..pgd(norm, epsilon)
                };
                attack(&settings, &plain(&energy), &x, &labels, None, &rng)
            })
            .collect();
        let counts: Vec<usize> = found
            .iter()
            .map(|f| bools(&f.fooled).iter().filter(|b| **b).count())
            .collect();
        assert_eq!(counts[0], 0, "no restart, no change");
        assert!(
            counts[4] > 0 && counts[4] < 64,
            "{norm:?}: not a case that tells: {counts:?}"
        );
        for pair in found.windows(2) {
            let (few, many) = (&pair[0], &pair[1]);
            let flags = bools(&few.fooled).into_iter().zip(bools(&many.fooled));
            let losses = numbers(&few.loss).into_iter().zip(numbers(&many.loss));
            for ((was, is), (before, after)) in flags.zip(losses) {
                assert!(is || !was, "found by fewer restarts only");
                assert!(was != is || after >= before, "{before} {after}");
            }
        }
        let improved = numbers(&(&found[4].loss - &found[1].loss)).iter().any(|d| *d > 0.0);
        assert!(improved, "restarts have no effect");
    }
    // The best is of all steps, not the last: a step far too long would otherwise end worse than it began.
    let wild = Attack {
        steps: 7,
        step_size: Some(0.5),
        ..pgd(Norm::Linf, 0.02)
    };
    let few = Attack {
        steps: 1,
        ..wild.clone()
    };
    let [few, wild] = [few, wild].map(|a| attack(&a, &plain(&energy), &x, &labels, None, &rng));
    let pairs = bools(&few.fooled).into_iter().zip(bools(&wild.fooled));
    assert!(pairs.into_iter().all(|(few, all)| all || !few));
}

#[test]
fn accuracy_falls_with_the_radius_from_that_of_clean_images() {
    let energy = classifier(SMOOTH, 11);
    let pixels = to_u8(&Stream::new(12, "x").uniform(&[50, 1, 6, 6], -1.0, 1.0, Device::Cpu));
    let labels = predicted(&energy, &ebm::data::to_unit(&pixels));
    // Two labels are wrong, so that the clean accuracy is 0.96.
    let wrong = (&labels
        + Tensor::arange(50, (Kind::Int64, Device::Cpu))
            .lt(2)
            .to_kind(Kind::Int64))
    .remainder(4);
    let images = Images {
        pixels,
        labels: Some(wrong),
        classes: Vec::new(),
    };
    let epsilons = [0.001, 0.01, 0.02, 0.05, 0.3];
    let mut calls = 0;
    let settings = Attack {
        steps: 10,
        step_size: None,
        ..pgd(Norm::Linf, 0.0)
    };
    let defence = plain(&energy);
    let curve = RobustCurve::new(
        &settings,
        &epsilons,
        &defence,
        &images,
        20,
        &Stream::new(13, "a"),
        &mut || calls += 1,
    )
    .unwrap();
    assert_eq!((calls, curve.images), (3 * 5, 50));
    assert_eq!((curve.points[0].epsilon, curve.points[0].accuracy), (0.0, 0.96));
    let accuracies: Vec<f64> = curve.points.iter().map(|p| p.accuracy).collect();
    assert!(accuracies.windows(2).all(|p| p[1] <= p[0]), "{accuracies:?}");
    assert!(accuracies[1] > 0.9 && accuracies[5] == 0.0, "{accuracies:?}");
}

/// sum over pixels of x^4 / 4.
struct Quartic;

impl Energy for Quartic {
    fn energy(&self, x: &Tensor) -> Tensor {
        (x.pow_tensor_scalar(4) / 4.0).sum_dim_intlist([1, 2, 3].as_slice(), false, x.kind())
    }
}

/// x' = x - h x^3 has the slope 1 - 3 h x^2; a clipped gradient has none, nor has what is clamped.
#[test]
fn a_step_in_a_graph_has_the_slope_of_its_closed_form() {
    let x = Tensor::from_slice(&[-1.5f32, -0.4, 0.0, 0.3, 0.9, 1.2])
        .view([1, 1, 2, 3])
        .set_requires_grad(true);
    let slope = |text: &str| {
        let mut rng = Stream::new(1, "step");
        let end =
            Langevin::new(&sampler(text), 10).step_with_graph(&Quartic, &x, &rng.normal(&x.size(), Device::Cpu), 0);
        let total = end.sum(Kind::Float);
        numbers(&Tensor::run_backward(&[total], &[&x], true, false).remove(0))
    };
    let at = numbers(&x.detach());
    let near = |got: Vec<f64>, want: Vec<f64>| {
        assert!(
            got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-5),
            "{got:?} {want:?}"
        );
    };
    let free = |x: &f64| 1.0 - 3.0 * 0.1 * x * x;
    near(slope("step_size: 0.1, noise_scale: 0"), at.iter().map(free).collect());
    let clipped = |x: &f64| if x.powi(3).abs() > 0.1 { 1.0 } else { free(x) };
    near(
        slope("step_size: 0.1, noise_scale: 0, grad_clip: {value: 0.1}"),
        at.iter().map(clipped).collect(),
    );
    let clamped = |x: &f64| {
        if (x - 0.1 * x.powi(3)).abs() > 0.5 {
            0.0
        } else {
            free(x)
        }
    };
    near(
        slope("step_size: 0.1, noise_scale: 0, clamp: [-0.5, 0.5]"),
        at.iter().map(clamped).collect(),
    );
    // A gradient of norm 3.9 brought to 1: the sum of -g / |g| has the slope -(g'_i - g_i (sum g) g'_i / |g|^2) / |g|.
    let g: Vec<f64> = at.iter().map(|x| x.powi(3)).collect();
    let (norm2, total) = (g.iter().map(|g| g * g).sum::<f64>(), g.iter().sum::<f64>());
    let bent = at
        .iter()
        .zip(&g)
        .map(|(x, g)| 1.0 - 0.1 * 3.0 * x * x * (1.0 - g * total / norm2) / norm2.sqrt());
    near(
        slope("step_size: 0.1, noise_scale: 0, grad_clip: {norm: 1}"),
        bent.collect(),
    );
    let zero = Tensor::zeros([1, 1, 2, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let kernel = Langevin::new(&sampler("step_size: 0.1, noise_scale: 0, grad_clip: {norm: 1}"), 10);
    let end = kernel
        .step_with_graph(&Quartic, &zero, &zero.zeros_like(), 0)
        .sum(Kind::Float);
    let grad = Tensor::run_backward(&[end], &[&zero], true, false).remove(0);
    near(numbers(&grad), vec![1.0; 6]);
    // d/dx of |dE/dx|^2 = d/dx x^6.
    let twice = energy_and_grad_with_graph(&Quartic, &x).grad.square().sum(Kind::Float);
    let second = Tensor::run_backward(&[twice], &[&x], true, false).remove(0);
    assert!(
        numbers(&second)
            .iter()
            .zip(&at)
            .all(|(got, x)| (got - 6.0 * x.powi(5)).abs() < 1e-4 * 50.0)
    );
}

#[test]
fn a_chain_in_a_graph_makes_the_same_numbers_as_one_without() {
    let energy = classifier(SMOOTH, 14);
    let x = Stream::new(15, "x").uniform(&[4, 1, 6, 6], -1.0, 1.0, Device::Cpu);
    for text in [
        "step_size: 0.5, noise_scale: 0.05",
        "step_size: 2, noise_scale: 0.1, grad_clip: {value: 0.02}, clamp: [-1, 1], order: [noise, clamp, gradient, clamp]",
        "step_size: 0.2, noise_scale: 0, grad_clip: {norm: 0.5}, step_schedule: {linear: {end: 0.1}}",
        "step_size: 0.1, temperature: 0.01, noise_schedule: {geometric: {end: 0.5}}",
    ] {
        let cfg = sampler(text);
        let rng = Stream::new(16, "chain");
        let defence = Defence::new(&energy, kernel(&cfg), 3, 2, 0.03);
        let (a, b) = (
            defence.logits(&x, &mut rng.clone()),
            defence.logits_with_graph(&x, &mut rng.clone()),
        );
        let error = (&a - &b).abs().max().double_value(&[]);
        // Only the norm of a clipped gradient is summed in another order.
        assert!(error < 1e-5, "{text}: {error}");
        let copies = ebm::data::add_noise(&x.repeat_interleave_self_int(2, 0, None), 0.03, &mut rng.clone());
        let mut after = rng.clone();
        after.seed_next();
        let end = run_chain(&Langevin::new(&cfg, 10), &energy, copies, 3, &mut after).x;
        let mean = energy
            .network()
            .forward(&end)
            .view([4, 2, 4])
            .mean_dim([1i64].as_slice(), false, Kind::Float);
        assert_eq!(mean, a, "{text}: the run's own chain, noise and copies");
    }
}

/// Along u the loss after one step of refinement changes by (l(x + e u) - l(x - e u)) / (2 e). The difference to the
/// gradient is 5 % of its length at e = 0.01, 0.4 % at 0.003 and 0.06 % here: it falls as e^2, until rounding (losses
/// near 1, right to 1e-7, hence 1e-4 here) takes over.
#[test]
fn the_gradient_through_a_step_of_refinement_is_that_of_finite_differences() {
    let energy = classifier(SMOOTH, 17);
    let mut rng = Stream::new(18, "x");
    let x = rng.uniform(&[6, 1, 6, 6], -0.9, 0.9, Device::Cpu);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 0, 1]);
    let defence = Defence::new(&energy, kernel(&sampler("step_size: 0.3, noise_scale: 0.1")), 1, 1, 0.0);
    let noise = Stream::new(19, "noise");
    let loss = |logits: Tensor| {
        logits
            .log_softmax(1, Kind::Float)
            .gather(1, &labels.unsqueeze(1), false)
            .view(-1)
            .neg()
    };
    let leaf = x.copy().set_requires_grad(true);
    let total = loss(defence.logits_with_graph(&leaf, &mut noise.clone())).sum(Kind::Float);
    let through = Tensor::run_backward(&[total], &[&leaf], false, false).remove(0);
    let total = loss(defence.plain_logits(&leaf)).sum(Kind::Float);
    let around = Tensor::run_backward(&[total], &[&leaf], false, false).remove(0);
    let dims = [1i64, 2, 3];
    let length = |t: &Tensor| t.norm_scalaropt_dim(2.0, dims, true);
    let e = 0.001;
    for turn in [0.0, 1.0] {
        let u = &through / length(&through) + rng.normal(&x.size(), Device::Cpu) * (turn / 6.0);
        let u = &u / length(&u);
        let at = |x: Tensor| loss(defence.logits(&x, &mut noise.clone()));
        let quotient = (at(&x + &u * e) - at(&x - &u * e)) / (2.0 * e);
        let along = |g: &Tensor| (g * &u).sum_dim_intlist(dims.as_slice(), false, Kind::Float);
        let relative = |g: &Tensor| {
            ((along(g) - &quotient).abs() / length(&through).view(-1))
                .max()
                .double_value(&[])
        };
        println!("through {} around {}", relative(&through), relative(&around));
        assert!(relative(&through) < 0.002, "{}", relative(&through));
        assert!(
            relative(&around) > 0.5,
            "the step makes no difference: nothing is tested"
        );
    }
}

#[test]
fn an_attack_through_the_defence_beats_one_around_it() {
    let energy = classifier(SMOOTH, 20);
    let x = Stream::new(21, "x").uniform(&[100, 1, 6, 6], -0.9, 0.9, Device::Cpu);
    let cfg = sampler("step_size: 0.3, noise_scale: 0.02");
    let defence = Defence::new(&energy, kernel(&cfg), 5, 2, 0.0);
    assert!(defence.is_random() && !Defence::new(&energy, kernel(&cfg), 0, 2, 0.0).is_random());
    let labels = defence.logits(&x, &mut Stream::new(22, "labels")).argmax(1, false);
    let loss = |through: Through| {
        let settings = Attack {
            through,
            steps: 10,
            step_size: None,
            draws: 2,
            ..pgd(Norm::L2, 0.05)
        };
        attack(&settings, &defence, &x, &labels, None, &Stream::new(23, "attack"))
            .loss
            .mean(Kind::Double)
            .double_value(&[])
    };
    let (through, around) = (loss(Through::Defence), loss(Through::Classifier));
    println!("mean log odds: through {through}, around {around}");
    assert!(through > around, "{through} {around}");
}
