//! Detection figures against scikit-learn, hand-counted cases and closed forms; their bootstrap intervals.

use std::collections::BTreeMap;

use ebm::eval::{Detection, auroc, detection, threshold};
use ebm::rng::Stream;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Golden {
    detection: BTreeMap<String, Case>,
    bootstrap: Brackets,
}

#[derive(Deserialize)]
struct Case {
    inside: Vec<f64>,
    outside: Vec<f64>,
    auroc: f64,
    aupr_in: f64,
    aupr_out: f64,
    fpr95_in: f64,
    fpr95_out: f64,
    threshold: f64,
}

/// Where the two ends of each interval may lie, as eval.py says.
#[derive(Deserialize)]
struct Brackets {
    resamples: usize,
    auroc: [f64; 4],
    aupr_in: [f64; 4],
    aupr_out: [f64; 4],
    fpr95_in: [f64; 4],
    fpr95_out: [f64; 4],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/eval.json")).unwrap()
}

fn of(inside: &[f64], outside: &[f64]) -> Detection {
    detection(&Tensor::from_slice(inside), &Tensor::from_slice(outside), None).unwrap()
}

fn figures(d: &Detection) -> [f64; 5] {
    [d.auroc, d.aupr_in, d.aupr_out, d.fpr95_in, d.fpr95_out]
}

#[test]
fn the_figures_are_scikit_learns() {
    for (name, case) in golden().detection {
        let found = of(&case.inside, &case.outside);
        let expected = [case.auroc, case.aupr_in, case.aupr_out, case.fpr95_in, case.fpr95_out];
        for (found, expected) in figures(&found).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{name}: {found} is not {expected}");
        }
        let inside = Tensor::from_slice(&case.inside);
        assert_eq!(threshold(&inside, 0.95).unwrap(), case.threshold, "{name}");
        assert_eq!(found.auroc, auroc(&inside, &Tensor::from_slice(&case.outside)).unwrap());
        assert_eq!(found.intervals, None);
    }
}

#[test]
fn the_figures_of_hand_counted_cases() {
    assert_eq!(figures(&of(&[1.0, 2.0], &[3.0, 4.0, 5.0])), [1.0, 1.0, 1.0, 0.0, 0.0]);
    // All tied: precision is the share of the positives.
    assert_eq!(figures(&of(&[7.0; 3], &[7.0])), [0.5, 0.75, 0.25, 1.0, 1.0]);
    // Outliers first: precisions 1 / 2 and 2 / 4 of recalls 1 / 2 and 1; the data first: 1 / 1, then 2 / 3.
    let mixed = of(&[4.0, 2.0], &[3.0, f64::NEG_INFINITY]);
    let expected = [0.25, (0.5 + 2.0 / 4.0) / 2.0, (0.5 + 0.5) / 2.0, 1.0, 1.0];
    assert_eq!(figures(&mixed), expected);
    // 0 is -0, and the infinite are numbers.
    assert_eq!(figures(&of(&[-0.0], &[0.0])), [0.5, 0.5, 0.5, 1.0, 1.0]);
    assert_eq!(figures(&of(&[-0.0], &[f64::INFINITY])), [1.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_threshold_is_the_smallest_that_accepts_the_share() {
    for n in 1..=400i64 {
        let scores = Tensor::arange(n, (Kind::Double, Device::Cpu)) + 1.0;
        for percent in [1, 5, 50, 95, 99, 100] {
            // Accepting k of n scores 1..n is the threshold k; whole numbers decide what "at least" means.
            let k = (1..=n).find(|k| k * 100 >= percent * n).unwrap();
            let found = threshold(&scores, percent as f64 / 100.0).unwrap();
            assert_eq!(found, k as f64, "{percent} % of {n}");
        }
    }
    assert_eq!(
        threshold(&Tensor::from_slice(&[3.0f32, 1.0, 1.0, 1.0]), 0.5).unwrap(),
        1.0
    );
}

#[test]
fn two_gaussians_have_their_closed_form() {
    // N(0,1) against N(2,1): the threshold is 1.6448536, FPR95 = Phi(1.6448536 - 2); the densities there.
    let (closed, density_in, density_out) = (0.361_239_968_7f64, 0.103_135_64, 0.374_560_1f64);
    let n = 100_000;
    let mut rng = Stream::new(4, "detection");
    let inside = rng.normal(&[n], Device::Cpu);
    let found = detection(&inside, &(rng.normal(&[n], Device::Cpu) + 2.0), None).unwrap();
    // The variances of the count of outliers and of the threshold, a quantile; five standard errors.
    let of_threshold = 0.95 * 0.05 * (density_out / density_in).powi(2);
    let error = ((closed * (1.0 - closed) + of_threshold) / n as f64).sqrt();
    // The two sides mirror each other, so both conventions have the same value.
    for fpr95 in [found.fpr95_in, found.fpr95_out] {
        assert!((fpr95 - closed).abs() < 5.0 * error, "{fpr95} is not {closed}");
    }
}

#[test]
fn the_intervals_are_the_bootstraps() {
    let Golden {
        detection: cases,
        bootstrap: brackets,
    } = golden();
    let (inside, outside) = (
        Tensor::from_slice(&cases["ties"].inside),
        Tensor::from_slice(&cases["ties"].outside),
    );
    let mut rng = Stream::new(5, "bootstrap");
    let found = detection(&inside, &outside, Some((brackets.resamples, &mut rng))).unwrap();
    assert_eq!(figures(&found), figures(&detection(&inside, &outside, None).unwrap()));
    let intervals = found.intervals.as_ref().unwrap();
    assert_eq!((intervals.level, intervals.resamples), (0.95, brackets.resamples));
    for (name, found, bracket) in [
        ("auroc", intervals.auroc, brackets.auroc),
        ("aupr_in", intervals.aupr_in, brackets.aupr_in),
        ("aupr_out", intervals.aupr_out, brackets.aupr_out),
        ("fpr95_in", intervals.fpr95_in, brackets.fpr95_in),
        ("fpr95_out", intervals.fpr95_out, brackets.fpr95_out),
    ] {
        let [low, high] = found;
        assert!((bracket[0]..=bracket[1]).contains(&low), "{name}: {low} in {bracket:?}");
        assert!(
            (bracket[2]..=bracket[3]).contains(&high),
            "{name}: {high} in {bracket:?}"
        );
    }
    let again = detection(
        &inside,
        &outside,
        Some((brackets.resamples, &mut Stream::new(5, "bootstrap"))),
    )
    .unwrap();
    assert_eq!(found, again, "a stream gives the same intervals");
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Detection>(&json).unwrap(), found);
}

#[test]
fn an_interval_holds_the_truth_as_often_as_it_says() {
    // N(0,1) against N(1,1): Phi(1 / sqrt 2).
    let (truth, trials) = (0.760_249_938_906_523_3, 200);
    let mut rng = Stream::new(6, "coverage");
    let held = (0..trials).filter(|_| {
        let inside = rng.normal(&[100], Device::Cpu);
        let outside = rng.normal(&[80], Device::Cpu) + 1.0;
        let found = detection(&inside, &outside, Some((200, &mut rng))).unwrap();
        let [low, high] = found.intervals.unwrap().auroc;
        low <= truth && truth <= high
    });
    let held = held.count() as f64 / f64::from(trials);
    // Five standard errors of so many trials.
    let error = (0.95f64 * 0.05 / f64::from(trials)).sqrt();
    assert!((held - 0.95).abs() < 5.0 * error, "{held}");
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let (good, none) = (
        Tensor::from_slice(&[1.0]),
        Tensor::zeros([0], (Kind::Float, Device::Cpu)),
    );
    let nan = Tensor::from_slice(&[1.0, f64::NAN]);
    for (inside, outside, place) in [
        (&nan, &good, "in-distribution"),
        (&good, &nan, "out-of-distribution"),
        (&none, &good, "among 0"),
        (&good, &none, "among 0"),
    ] {
        let error = detection(inside, outside, None).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(place), "{error}");
    }
    let mut rng = Stream::new(1, "none");
    assert!(detection(&good, &good, Some((0, &mut rng))).unwrap_err().is_input());
    assert!(threshold(&nan, 0.95).unwrap_err().is_input());
    for share in [0.0, -1.0, 1.1, f64::NAN] {
        assert!(threshold(&good, share).unwrap_err().to_string().contains("share"));
    }
}
