//! Classification figures and calibration against scikit-learn and NumPy, closed forms, batches, bad input.

use ebm::eval::{Classification, Classifications, ece};
use ebm::report::Bin;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Golden {
    classification: Case,
}

#[derive(Deserialize)]
struct Case {
    logits: Vec<Vec<f64>>,
    labels: Vec<i64>,
    accuracy: f64,
    nll: f64,
    brier: f64,
    ece: f64,
    ece_mass: f64,
    /// Count, mean confidence, accuracy.
    bins: Vec<(u64, f64, f64)>,
    mass_bins: Vec<(u64, f64, f64)>,
    confusion: Vec<Vec<u64>>,
}

fn golden() -> (Case, Tensor, Tensor) {
    let Golden { classification: case } = serde_json::from_str(include_str!("golden/eval.json")).unwrap();
    let logits = Tensor::from_slice(&case.logits.concat()).view([case.labels.len() as i64, -1]);
    let labels = Tensor::from_slice(&case.labels);
    (case, logits, labels)
}

fn of(logits: &Tensor, labels: &[i64]) -> Classification {
    let mut sums = Classifications::new(logits.size()[1] as usize);
    sums.add(logits, &Tensor::from_slice(labels)).unwrap();
    sums.finish().unwrap()
}

fn close(found: f64, expected: f64, what: &str) {
    // Sums of some hundred numbers about 1 in f64.
    assert!(
        (found - expected).abs() < 1e-13 * expected.abs().max(1.0),
        "{what}: {found} is not {expected}"
    );
}

fn same_bins(found: &[Bin], expected: &[(u64, f64, f64)]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.count, expected.0);
        close(found.confidence, expected.1, "confidence");
        close(found.accuracy, expected.2, "accuracy");
    }
}

#[test]
fn the_figures_are_scikit_learns() {
    let (case, logits, labels) = golden();
    let found = of(&logits, &case.labels);
    assert_eq!(found.images, case.labels.len() as u64);
    close(found.accuracy, case.accuracy, "accuracy");
    close(found.nll, case.nll, "nll");
    close(found.brier, case.brier, "brier");
    close(found.ece, case.ece, "ece");
    close(found.ece_mass, case.ece_mass, "ece_mass");
    same_bins(&found.bins, &case.bins);
    same_bins(&found.mass_bins, &case.mass_bins);
    assert_eq!(found.confusion, case.confusion);
    for (row, (share, k)) in case.confusion.iter().zip(found.class_accuracy.iter().zip(0..)) {
        let total: u64 = row.iter().sum();
        let expected = (total > 0).then(|| row[k] as f64 / total as f64);
        assert_eq!(*share, expected, "class {k}");
    }
    assert_eq!(found.class_accuracy[4], None, "no image is of the last class");

    let mut batches = Classifications::new(5);
    for from in (0..211).step_by(50) {
        let size = 50.min(211 - from);
        // Labels of any whole kind.
        let labels = labels.narrow(0, from, size).to_kind(Kind::Uint8);
        batches.add(&logits.narrow(0, from, size), &labels).unwrap();
    }
    let batches = batches.finish().unwrap();
    close(batches.nll, found.nll, "nll in batches");
    close(batches.brier, found.brier, "brier in batches");
    assert_eq!((batches.ece, &batches.bins), (found.ece, &found.bins));
    assert_eq!(batches.confusion, found.confusion);
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Classification>(&json).unwrap(), found);
}

#[test]
fn equal_logits_have_their_closed_form() {
    let k = 8i64;
    let found = of(&Tensor::zeros([4, k], (Kind::Float, Device::Cpu)), &[0, 3, 0, 7]);
    close(found.nll, (k as f64).ln(), "nll");
    close(found.brier, 1.0 - 1.0 / k as f64, "brier");
    // The first of equal logits is predicted: half are right, all with confidence 1 / 8.
    assert_eq!(found.accuracy, 0.5);
    close(found.ece, 0.5 - 1.0 / k as f64, "ece");
    // Those of equal confidence are each half right, however they fall into bins.
    close(found.ece_mass, 0.5 - 1.0 / k as f64, "ece_mass");
    assert_eq!(found.bins[1].count, 4, "1 / 8 is in (1 / 15, 2 / 15]");
}

#[test]
fn sure_logits_lose_no_digits() {
    // p = 1 - 1e-60 in effect; the wrong label costs 140 nats, f32 logits or not.
    let logits = Tensor::from_slice(&[100.0f32, -40.0, 100.0, -40.0]).view([2, 2]);
    let found = of(&logits, &[0, 1]);
    close(found.nll, 70.0, "nll");
    close(found.brier, 1.0, "brier");
    close(found.ece, 0.5, "ece");
    assert_eq!(found.confusion, [[1, 0], [1, 0]]);
}

#[test]
fn who_is_right_as_often_as_sure_is_calibrated() {
    // p = (3/4, 1/4), right 3 times of 4, and p = (5/8, 3/8), right 5 times of 8.
    let row = |p: f64, n: i64| {
        Tensor::from_slice(&[(p / (1.0 - p)).ln(), 0.0])
            .view([1, 2])
            .repeat([n, 1])
    };
    let logits = Tensor::cat(&[row(0.75, 4), row(0.625, 8)], 0);
    let found = of(&logits, &[0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]);
    assert!(
        found.ece < 1e-15 && found.ece_mass < 1e-15,
        "{} {}",
        found.ece,
        found.ece_mass
    );
    // Turned round, all of them predict with the same confidence and are right 1/4 and 3/8 of the time.
    let turned = of(&-logits, &[0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]);
    close(turned.ece, (4.0 * 0.5 + 8.0 * 0.25) / 12.0, "ece");
}

#[test]
fn bins_are_closed_above_and_order_means_nothing() {
    // Confidences 1, in the last bin, and 3 / 5 = 9 / 15, in (8 / 15, 9 / 15].
    let logits = Tensor::from_slice(&[800.0, 0.0, 0.6f64.ln(), 0.4f64.ln()]).view([2, 2]);
    let found = of(&logits, &[0, 0]);
    assert_eq!(found.bins[14].count, 1);
    let edge = found.bins[8].count + found.bins[9].count;
    assert_eq!(edge, 1, "log and exp may move it by a rounding");
    assert_eq!((found.bins[8].low, found.bins[8].high), (8.0 / 15.0, 9.0 / 15.0));

    // 40 images of equal confidence, 10 of them right, in two orders.
    let logits = Tensor::from_slice(&[1.0, 0.0]).view([1, 2]).repeat([40, 1]);
    let first: Vec<i64> = (0..40).map(|i| i64::from(i >= 10)).collect();
    let spread: Vec<i64> = (0..40).map(|i| i64::from(i % 4 != 0)).collect();
    let (first, spread) = (of(&logits, &first), of(&logits, &spread));
    assert_eq!(first.mass_bins, spread.mass_bins);
    close(first.ece_mass, 1.0 / (1.0 + (-1f64).exp()) - 0.25, "ece_mass");
    let sizes: Vec<u64> = first.mass_bins.iter().map(|b| b.count).collect();
    // floor(40 (m + 1) / 15) - floor(40 m / 15).
    assert_eq!(sizes, [2, 3, 3, 2, 3, 3, 2, 3, 3, 2, 3, 3, 2, 3, 3]);
    assert_eq!(ece(&[]), 0.0);
}

#[test]
fn fewer_images_than_bins_are_no_trouble() {
    let found = of(&Tensor::from_slice(&[2.0, 0.0, 0.0, 3.0]).view([2, 2]), &[0, 0]);
    assert_eq!(found.mass_bins.iter().map(|b| b.count).sum::<u64>(), 2);
    assert!(
        (found.ece_mass - found.ece).abs() < 1e-15,
        "each image has a bin of its own"
    );
}

#[test]
fn what_is_not_classified_is_refused() {
    let mut sums = Classifications::new(3);
    assert!(sums.finish().unwrap_err().to_string().contains("found none"));
    let float = (Kind::Float, Device::Cpu);
    let labels = Tensor::from_slice(&[0i64, 2]);
    let good = Tensor::zeros([2, 3], float);
    for (logits, labels, mention) in [
        (Tensor::zeros([2, 4], float), labels.copy(), "[B,3]"),
        (Tensor::zeros([3, 3], float), labels.copy(), "[B,3]"),
        (Tensor::zeros([6], float), labels.copy(), "[B,3]"),
        (
            Tensor::zeros([0, 3], float),
            Tensor::zeros([0], (Kind::Int64, Device::Cpu)),
            "[B,3]",
        ),
        (good.copy(), Tensor::from_slice(&[0.0, 1.0]), "Double"),
        (good.copy(), Tensor::from_slice(&[0i64, 3]), "0 to 2, found 0 to 3"),
        (good.copy(), Tensor::from_slice(&[-1i64, 0]), "found -1"),
        (&good + f64::NAN, labels.copy(), "6 that are not"),
    ] {
        let error = sums.add(&logits, &labels).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(mention), "{error}");
    }
    assert!(sums.finish().is_err(), "nothing was added");
}
