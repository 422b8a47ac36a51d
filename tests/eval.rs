//! AUROC against closed forms and hand-counted cases; the table of out-of-distribution sets.

use ebm::eval::{OodTable, auroc};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

fn of(inside: &[f64], outside: &[f64]) -> f64 {
    auroc(&Tensor::from_slice(inside), &Tensor::from_slice(outside)).unwrap()
}

#[test]
fn auroc_counts_pairs_and_halves_ties() {
    assert_eq!(of(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    assert_eq!(of(&[3.0, 4.0], &[1.0, 2.0]), 0.0);
    assert_eq!(of(&[5.0; 4], &[5.0; 3]), 0.5);
    // Pairs (out, in): 2>1, 2=2, 2<3; 3>1, 3>2, 3=3: 3 won and 2 tied of 6.
    assert_eq!(of(&[3.0, 1.0, 2.0], &[2.0, 3.0]), 4.0 / 6.0);
    assert_eq!(of(&[f64::NEG_INFINITY, 0.0], &[f64::INFINITY, 0.0]), 3.5 / 4.0);
}

#[test]
fn auroc_is_the_brute_force_count() {
    let mut rng = Stream::new(3, "auroc");
    // Integers of a small range, so that ties abound.
    let inside = rng.integers(20, 211, Device::Cpu).to_kind(Kind::Float);
    let outside = rng.integers(25, 307, Device::Cpu).to_kind(Kind::Float);
    let (i, o) = (
        Vec::<f32>::try_from(&inside).unwrap(),
        Vec::<f32>::try_from(&outside).unwrap(),
    );
    let score = |o: f32, i: f32| {
        if o > i {
            1.0
        } else if o == i {
            0.5
        } else {
            0.0
        }
    };
    let won: f64 = o.iter().flat_map(|o| i.iter().map(move |i| score(*o, *i))).sum();
    assert_eq!(auroc(&inside, &outside).unwrap(), won / (211.0 * 307.0));
    let back = auroc(&outside, &inside).unwrap();
    assert!(
        (back + won / (211.0 * 307.0) - 1.0).abs() < 1e-15,
        "the sides swapped are the complement"
    );
}

#[test]
fn auroc_of_two_gaussians_is_the_closed_form() {
    // N(0,1) against N(d,1): P(out > in) = Phi(d / sqrt 2).
    let n = 100_000;
    let mut rng = Stream::new(4, "auroc");
    let inside = rng.normal(&[n], Device::Cpu);
    for (d, phi) in [
        (0.0, 0.5),
        (1.0, 0.760_249_938_906_523_3),
        (2.0, 0.921_350_396_474_857_4),
    ] {
        let found = auroc(&inside, &(rng.normal(&[n], Device::Cpu) + d)).unwrap();
        // The statistic's variance is at most A(1-A) / min(n, m) (Birnbaum & Klose 1957); five standard errors.
        let error = (phi * (1.0 - phi) / n as f64).sqrt();
        assert!((found - phi).abs() < 5.0 * error, "d = {d}: {found} is not {phi}");
    }
}

#[test]
fn auroc_tells_neighbouring_f32_scores_apart() {
    let one = Tensor::from_slice(&[1.0f32]);
    let next = Tensor::from_slice(&[1.0f32.next_up()]);
    assert_eq!(auroc(&one, &next).unwrap(), 1.0);
    assert_eq!(auroc(&one, &one).unwrap(), 0.5);
}

#[test]
fn auroc_refuses_nan_and_nothing() {
    let good = Tensor::from_slice(&[1.0]);
    for (inside, outside, place) in [
        (Tensor::from_slice(&[1.0, f64::NAN]), good.copy(), "in-distribution"),
        (good.copy(), Tensor::from_slice(&[f64::NAN]), "out-of-distribution"),
        (good.copy(), Tensor::zeros([0], (Kind::Float, Device::Cpu)), "among 0"),
    ] {
        let error = auroc(&inside, &outside).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(place), "{error}");
    }
}

#[test]
fn a_table_reads_well_and_survives_json() {
    let data = Tensor::from_slice(&[0.0f32, 1.0, 2.0]);
    let sets = [
        ("fashion-mnist".to_string(), Tensor::from_slice(&[3.0f32, 4.0])),
        ("flipped".to_string(), Tensor::from_slice(&[1.0f32])),
    ];
    let table = OodTable::new("mnist test", &data, &sets).unwrap();
    assert_eq!(table.mean_auroc(), Some(0.75));
    let json = serde_json::to_value(&table).unwrap();
    assert_eq!(
        json["rows"][0],
        serde_json::json!({"set": "fashion-mnist", "images": 2, "auroc": 1.0})
    );
    assert_eq!(serde_json::from_value::<OodTable>(json).unwrap(), table);
    let expected = "\
against mnist test (3 images)  images   AUROC
-----------------------------  ------  ------
fashion-mnist                       2  1.0000
flipped                             1  0.5000
";
    assert_eq!(table.to_string(), expected);
    assert_eq!(OodTable::new("none", &data, &[]).unwrap().mean_auroc(), None);
}
