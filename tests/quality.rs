//! Sample quality: Frechet distance, precision and recall, density and coverage, the Inception-style score.

use std::collections::BTreeMap;

use ebm::eval::{Moments, density_coverage, frechet_distance, inception_score, precision_recall};
use ebm::rng::Stream;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Golden {
    frechet: BTreeMap<String, Pair>,
    manifold: Manifold,
    inception: Inception,
}

#[derive(Deserialize)]
struct Pair {
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
    by_samples: f64,
    by_sqrtm: f64,
}

#[derive(Deserialize)]
struct Manifold {
    real: Vec<Vec<f64>>,
    generated: Vec<Vec<f64>>,
    precision_recall: BTreeMap<usize, [f64; 2]>,
    density_coverage: BTreeMap<usize, [f64; 2]>,
}

#[derive(Deserialize)]
struct Inception {
    probabilities: Vec<Vec<f64>>,
    scores: BTreeMap<usize, [f64; 2]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/eval.json")).unwrap()
}

fn rows(rows: &[Vec<f64>]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1])
}

fn moments(features: &Tensor) -> Moments {
    let mut moments = Moments::new(features.size()[1] as usize, Device::Cpu);
    moments.add(features).unwrap();
    moments
}

fn farthest(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn moments_are_those_of_all_features_however_they_come() {
    // A mean of 1e6 and a variance of 1: sums of squares would keep four digits.
    let features = Stream::new(1, "moments")
        .normal(&[301, 5], Device::Cpu)
        .to_kind(Kind::Double)
        + 1e6;
    let expected = features.tr().cov(1, None::<&Tensor>, None::<&Tensor>);
    let whole = moments(&features);
    let mut batches = Moments::new(5, Device::Cpu);
    let mut halves = [Moments::new(5, Device::Cpu), Moments::new(5, Device::Cpu)];
    for (i, batch) in features.split(7, 0).iter().enumerate() {
        batches.add(batch).unwrap();
        halves[i % 2].add(batch).unwrap();
    }
    let [mut merged, other] = halves;
    merged.merge(&other).unwrap();
    merged.merge(&Moments::new(5, Device::Cpu)).unwrap();
    let mean = features.mean_dim(0, false, Kind::Double);
    for (name, found) in [("whole", whole), ("batches", batches), ("merged", merged)] {
        assert_eq!((found.count(), found.dim()), (301, 5));
        // A deviation is known to 1e6 x 2^-53 = 1e-10, a few times over.
        assert!(farthest(&found.covariance().unwrap(), &expected) < 1e-9, "{name}");
        assert!(farthest(&found.mean(), &mean) < 1e-9, "{name}");
    }
}

#[test]
fn the_frechet_distance_is_scipys() {
    for (name, pair) in golden().frechet {
        let (a, b) = (moments(&rows(&pair.a)), moments(&rows(&pair.b)));
        let found = frechet_distance(&a, &b).unwrap();
        let error = |expected: f64| (found / expected - 1.0).abs();
        // sqrtm of a singular product is itself no better than the root of a rounding.
        assert!(error(pair.by_sqrtm) < 1e-6, "{name}: {found} is not {}", pair.by_sqrtm);
        assert!(
            error(pair.by_samples) < 1e-11,
            "{name}: {found} is not {}",
            pair.by_samples
        );
        assert!(
            (frechet_distance(&b, &a).unwrap() / found - 1.0).abs() < 1e-11,
            "{name}"
        );
        let trace = a.covariance().unwrap().trace().double_value(&[]);
        assert!(
            frechet_distance(&a, &a).unwrap() < 1e-12 * trace,
            "{name}: not 0 from itself"
        );
    }
}

#[test]
fn gaussians_of_diagonal_covariance_have_their_closed_form() {
    // Rows +-s_i in each dimension alone: variances 2 s_i^2 / (2 D - 1), no covariance.
    let cross = |scales: &[f64], shift: f64| {
        let half = Tensor::from_slice(scales).diag(0);
        moments(&(Tensor::cat(&[half.copy(), -half], 0) + shift))
    };
    let (s, t) = ([1.0, 2.0, 0.0, 0.5], [3.0, 0.25, 4.0, 0.5]);
    // 0.5^2 in each of 4 dimensions, and the sum of (sigma - tau)^2.
    let spread: f64 = s.iter().zip(t).map(|(s, t)| (s - t) * (s - t) * 2.0 / 7.0).sum();
    let found = frechet_distance(&cross(&s, 1.0), &cross(&t, 1.5)).unwrap();
    assert!((found - 1.0 - spread).abs() < 1e-13, "{found} is not {}", 1.0 + spread);
}

#[test]
fn a_rotation_of_all_features_changes_no_distance() {
    let mut rng = Stream::new(2, "rotation");
    let mut normal = |size: &[i64]| rng.normal(size, Device::Cpu).to_kind(Kind::Double);
    let (a, b) = (normal(&[40, 64]), normal(&[50, 64]) * 2.0 + 0.3);
    let (q, _) = Tensor::linalg_qr(&normal(&[64, 64]), "reduced");
    let found = frechet_distance(&moments(&a), &moments(&b)).unwrap();
    let turned = frechet_distance(&moments(&a.matmul(&q)), &moments(&b.matmul(&q))).unwrap();
    assert!((turned / found - 1.0).abs() < 1e-11, "{turned} is not {found}");
}

#[test]
fn too_few_or_other_features_are_refused() {
    let some = moments(&Tensor::from_slice(&[0.0, 1.0, 2.0, 4.0]).view([2, 2]));
    let one = moments(&Tensor::from_slice(&[0.0, 1.0]).view([1, 2]));
    let nan = moments(&Tensor::from_slice(&[0.0, f64::NAN, 1.0, 2.0]).view([2, 2]));
    let other = Moments::new(3, Device::Cpu);
    assert!(frechet_distance(&some, &some).unwrap().abs() < 1e-14);
    for (a, b, mention) in [
        (&some, &one, "found 1"),
        (&Moments::new(2, Device::Cpu), &some, "found 0"),
        (&some, &nan, "finite"),
        (&some, &other, "found 2 and 3"),
    ] {
        let error = frechet_distance(a, b).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(mention), "{error}");
    }
    let mut some = some;
    assert!(some.merge(&other).unwrap_err().is_input());
    assert!(some.add(&Tensor::zeros([4, 3], (Kind::Float, Device::Cpu))).is_err());
    some.add(&Tensor::zeros([0, 2], (Kind::Float, Device::Cpu))).unwrap();
    assert_eq!(some.count(), 2);
}

#[test]
fn neighbours_are_numpys() {
    let golden = golden().manifold;
    let (real, generated) = (rows(&golden.real), rows(&golden.generated));
    for (k, [precision, recall]) in golden.precision_recall {
        let found = precision_recall(&real, &generated, k).unwrap();
        assert_eq!([found.precision, found.recall], [precision, recall], "k = {k}");
    }
    for (k, [density, coverage]) in golden.density_coverage {
        let found = density_coverage(&real, &generated, k).unwrap();
        assert!((found.density - density).abs() < 1e-15, "k = {k}");
        assert_eq!(found.coverage, coverage, "k = {k}");
    }
}

#[test]
fn equal_and_disjoint_sets_have_their_closed_forms() {
    let x = Stream::new(3, "sets").normal(&[50, 4], Device::Cpu);
    let same = precision_recall(&x, &x, 3).unwrap();
    assert_eq!([same.precision, same.recall], [1.0, 1.0]);
    // A closed ball up to the k-th neighbour holds k + 1 of the same points.
    let same = density_coverage(&x, &x, 5).unwrap();
    assert_eq!([same.density, same.coverage], [6.0 / 5.0, 1.0]);
    let far = &x + 100.0;
    let apart = precision_recall(&x, &far, 3).unwrap();
    assert_eq!([apart.precision, apart.recall], [0.0, 0.0]);
    let apart = density_coverage(&x, &far, 5).unwrap();
    assert_eq!([apart.density, apart.coverage], [0.0, 0.0]);
    // On a line: real 0, 1, 2, 3, 10 reach 1, 1, 1, 1, 7; generated 3.5, 4, 20 reach 0.5, 0.5, 16.
    let real = Tensor::from_slice(&[0.0, 1.0, 2.0, 3.0, 10.0]).view([5, 1]);
    let generated = Tensor::from_slice(&[3.5, 4.0, 20.0]).view([3, 1]);
    let found = precision_recall(&real, &generated, 1).unwrap();
    // 3.5 and 4 are within reach of 3 and of 10; 3 and 10 within that of 3.5 and of 20.
    assert_eq!([found.precision, found.recall], [2.0 / 3.0, 2.0 / 5.0]);
    let found = density_coverage(&real, &generated, 1).unwrap();
    assert_eq!([found.density, found.coverage], [4.0 / 3.0, 2.0 / 5.0]);
    // Copies are within a reach of 0.
    let ones = Tensor::ones([6, 3], (Kind::Float, Device::Cpu));
    assert_eq!(precision_recall(&ones, &ones, 3).unwrap().precision, 1.0);
}

#[test]
fn equal_distributions_have_the_expected_density_and_coverage() {
    // 3,000 x 3,000 distances: more than are held at once.
    let (n, k) = (3000i64, 5);
    let mut rng = Stream::new(4, "density");
    let mut draw = || rng.normal(&[n, 2], Device::Cpu);
    let found = density_coverage(&draw(), &draw(), k).unwrap();
    // Naeem et al. (2020), lemmas 1 and 2: E density = 1, and the chance that none of M other draws is among the k
    // nearest of 2 N - 1: coverage 1 - (N - 1)...(N - k) / ((2 N - 1)...(2 N - k)).
    let missed: f64 = (1..=k as i64).map(|i| (n - i) as f64 / (2 * n - i) as f64).product();
    // Hits of neighbouring points depend on each other, as many as k + 1 at a time: errors of N / (k + 1) free ones,
    // five of them; a ball's count of hits has a variance of about k + k.
    let free = n as f64 / (k as f64 + 1.0);
    assert!(
        (found.coverage - (1.0 - missed)).abs() < 5.0 * (missed / free).sqrt(),
        "{found:?}"
    );
    assert!(
        (found.density - 1.0).abs() < 5.0 * (2.0 / k as f64 / free).sqrt(),
        "{found:?}"
    );
}

#[test]
fn neighbours_that_are_not_there_are_refused() {
    let float = (Kind::Float, Device::Cpu);
    let x = Tensor::zeros([4, 2], float);
    for (real, generated, k, mention) in [
        (x.copy(), x.copy(), 4, "k from 1 to 3 for 4 real"),
        (x.copy(), x.copy(), 0, "found 0"),
        (x.copy(), Tensor::zeros([2, 2], float), 3, "2 generated"),
        (x.copy(), Tensor::zeros([4, 3], float), 1, "[4, 3]"),
        (x.copy(), Tensor::zeros([0, 2], float), 1, "[0, 2]"),
        (&x + f64::NAN, x.copy(), 1, "finite"),
    ] {
        let error = precision_recall(&real, &generated, k).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(mention), "{error}");
    }
    // Only the real side needs neighbours here.
    assert!(density_coverage(&x, &Tensor::zeros([1, 2], float), 3).is_ok());
    assert!(density_coverage(&x, &x, 4).unwrap_err().is_input());
}

#[test]
fn the_inception_style_score_is_numpys_and_has_its_closed_forms() {
    let golden = golden().inception;
    for (splits, [mean, std]) in golden.scores {
        let found = inception_score(&rows(&golden.probabilities), splits).unwrap();
        assert_eq!(found.splits, splits);
        assert!(
            (found.mean - mean).abs() < 1e-13 && (found.std - std).abs() < 1e-13,
            "{found:?}"
        );
    }
    let k = 6i64;
    let even = Tensor::full([30, k], 1.0 / k as f64, (Kind::Double, Device::Cpu));
    let found = inception_score(&even, 3).unwrap();
    assert!((found.mean - 1.0).abs() < 1e-14 && found.std < 1e-14, "{found:?}");
    // One-hot and balanced: log K nats, with exact zeros.
    let sure = Tensor::eye(k, (Kind::Float, Device::Cpu)).repeat([5, 1]);
    let found = inception_score(&sure, 5).unwrap();
    assert!((found.mean - k as f64).abs() < 1e-13 && found.std < 1e-13, "{found:?}");
    // Sorted, each split has a class: no spread within it.
    let sorted = Tensor::eye(k, (Kind::Float, Device::Cpu)).repeat_interleave_self_int(5, 0, None);
    assert!((inception_score(&sorted, 6).unwrap().mean - 1.0).abs() < 1e-14);
    assert!((inception_score(&sorted, 1).unwrap().mean - k as f64).abs() < 1e-13);
}

#[test]
fn what_is_no_distribution_over_classes_has_no_score() {
    let p = Tensor::full([4, 2], 0.5, (Kind::Float, Device::Cpu));
    let signed = Tensor::from_slice(&[1.5, -0.5]).view([1, 2]);
    for (p, splits, mention) in [
        (p.copy(), 5, "5 splits"),
        (p.copy(), 0, "0 splits"),
        (&p * 2.0, 1, "sum to 1"),
        (signed, 1, "found -0.5"),
        (&p + f64::NAN, 1, "softmax"),
        (p.view(-1), 1, "[8]"),
    ] {
        let error = inception_score(&p, splits).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(mention), "{error}");
    }
}

#[test]
fn copies_are_at_distance_zero_wherever_they_are() {
    // Features of 512 dimensions far from zero, each twice: rounding must not tell the two apart.
    let x = Stream::new(5, "copies").normal(&[200, 512], Device::Cpu) + 300.0;
    let twice = x.repeat([2, 1]);
    // With k = 1 the nearest neighbour is the copy, at distance 0: the reach holds the two of the other side alone.
    let same = precision_recall(&twice, &x, 1).unwrap();
    assert_eq!(same.precision, 1.0);
    let found = density_coverage(&twice, &x, 1).unwrap();
    assert_eq!([found.density, found.coverage], [2.0, 1.0]);
    // Moved by a thousandth of their size, they are out of it.
    let found = density_coverage(&twice, &(&x * 1.001), 1).unwrap();
    assert_eq!([found.density, found.coverage], [0.0, 0.0]);
}
