//! Toy densities: their points against closed forms, their densities against integrals and
//! histograms.

use std::f64::consts::PI;

use ebm::data::Toy;
use ebm::eval::energy_distance;
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

const HALF: f64 = 4.0;
/// Chance passes five standard errors once in two million values; some dozens are looked at.
const SIGMAS: f64 = 5.0;

fn points(toy: Toy, n: i64, name: &str) -> Tensor {
    toy.points(n, &mut Stream::new(11, name))
}

fn with_density() -> impl Iterator<Item = Toy> {
    let origin = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
    Toy::ALL
        .into_iter()
        .filter(move |toy| toy.log_density(&origin).is_some())
}

/// The middles of `n` by `n` cells of the square, row by row from below, `[n*n,2]`.
fn middles(n: i64, half: f64) -> Tensor {
    let along = (Tensor::arange(n, (Kind::Double, Device::Cpu)) + 0.5) * (2.0 * half / n as f64) - half;
    let (x, y) = (
        along.unsqueeze(0).expand([n, n], false),
        along.unsqueeze(1).expand([n, n], false),
    );
    Tensor::stack(&[x, y], 2).view([-1, 2])
}

/// The mass in each of `cells` by `cells` cells of the square, by the midpoint rule with `per *
/// per` points a cell.
fn masses(toy: Toy, cells: i64, per: i64, half: f64) -> Tensor {
    let n = cells * per;
    let density = toy.log_density(&middles(n, half)).unwrap().exp();
    let sums = density
        .view([cells, per, cells, per])
        .sum_dim_intlist([1i64, 3].as_slice(), false, Kind::Double);
    sums * (2.0 * half / n as f64).powi(2)
}

#[test]
fn names_are_those_of_yaml() {
    for toy in Toy::ALL {
        let name = serde_json::to_value(toy).unwrap();
        assert_eq!(name, toy.name());
        assert_eq!(serde_json::from_value::<Toy>(name).unwrap(), toy);
    }
    assert!(serde_json::from_str::<Toy>("\"three-moons\"").is_err());
}

#[test]
fn densities_integrate_to_one() {
    let found: Vec<Toy> = with_density().collect();
    assert_eq!(found, [Toy::EightGaussians, Toy::Rings, Toy::Checkerboard]);
    for toy in found {
        // Beyond a square of half 6 lie more than eleven deviations of the outermost Gaussian or
        // ring.
        let all = masses(toy, 1, 2400, 6.0).double_value(&[0, 0]);
        // The midpoint rule is exact for the board and near so for Gaussians; the rings' 1/r at the
        // origin has a weight of N(0; 0.8, 0.12), 7e-10 of their mass.
        assert!((all - 1.0).abs() < 1e-6, "{}: {all}", toy.name());
    }
}

#[test]
fn rings_have_the_density_of_their_radius() {
    // In polar coordinates the integral has no singularity: 2 pi r p(r, 0), by the midpoint rule.
    let n = 40_000;
    let step = 6.0 / n as f64;
    let radius = (Tensor::arange(n, (Kind::Double, Device::Cpu)) + 0.5) * step;
    let x = Tensor::stack(&[radius.shallow_clone(), radius.zeros_like()], 1);
    let density = Toy::Rings.log_density(&x).unwrap().exp() * &radius * (2.0 * PI);
    let all = density.sum(Kind::Double).double_value(&[]) * step;
    assert!((all - 1.0).abs() < 1e-9, "{all}");
    let origin = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
    assert!(Toy::Rings.log_density(&origin).unwrap().double_value(&[0]).is_finite());
}

#[test]
fn densities_are_the_formulas() {
    let x = Tensor::from_slice(&[2.9f64, -0.3]).view([1, 2]);
    let at = |toy: Toy| toy.log_density(&x).unwrap().double_value(&[0]);
    let radius = 2.9f64.hypot(0.3);
    let normal = |z: f64| (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    let sum = |f: &dyn Fn(f64) -> f64, of: &[f64]| of.iter().map(|v| f(*v)).sum::<f64>() / of.len() as f64;
    let angles: Vec<f64> = (0..8).map(|k| f64::from(k) * PI / 4.0).collect();
    let gaussian = |a: f64| {
        let (dx, dy) = (2.9 - 2.8 * a.cos(), -0.3 - 2.8 * a.sin());
        normal(dx / 0.28) * normal(dy / 0.28) / 0.28f64.powi(2)
    };
    assert!((at(Toy::EightGaussians) - sum(&gaussian, &angles).ln()).abs() < 1e-12);
    // No ring is cut off by more than 1.3e-11 of its mass.
    let ring = |r: f64| normal((radius - r) / 0.12) / (0.12 * 2.0 * PI * radius);
    assert!((at(Toy::Rings) - sum(&ring, &[0.8, 1.6, 2.4, 3.2]).ln()).abs() < 1e-10);
    // Column 3 and row 1 of the board have mass; the square above has none, nor has what lies
    // outside.
    assert!((at(Toy::Checkerboard) + 32f64.ln()).abs() < 1e-14);
    let empty = Tensor::from_slice(&[2.9f64, 0.3, 4.5, 2.3, 2.9, -5.7]).view([3, 2]);
    let found = Toy::Checkerboard.log_density(&empty).unwrap();
    assert_eq!(found, found.full_like(f64::NEG_INFINITY));
}

#[test]
fn points_fall_where_the_density_is() {
    const CELLS: i64 = 16;
    let n = 200_000;
    for toy in with_density() {
        let x = points(toy, n, "histogram").to_kind(Kind::Double);
        let cell = ((x + HALF) * (CELLS as f64 / (2.0 * HALF))).floor();
        let inside = cell.ge(0.0).logical_and(&cell.lt(CELLS)).all_dim(1, false);
        let (column, row) = (cell.select(1, 0), cell.select(1, 1));
        let index = (row * CELLS + column).to_kind(Kind::Int64).masked_select(&inside);
        let found = index.bincount::<Tensor>(None, CELLS * CELLS).to_kind(Kind::Double) / n as f64;
        let expected = masses(toy, CELLS, 50, HALF).view(-1);
        // The total variation of a histogram from its truth: each cell is off by sqrt(p (1 - p) /
        // n) about, times sqrt(2 / pi) in the mean; half of the sum. It varies by at most 1 /
        // sqrt(4 n) (McDiarmid).
        let variance: Tensor = &expected * (1.0 - &expected) / n as f64;
        let spread = variance.clamp_min(0.0).sqrt().sum(Kind::Double);
        let mean = 0.5 * (2.0 / PI).sqrt() * spread.double_value(&[]);
        let bound = mean + SIGMAS / (4.0 * n as f64).sqrt();
        let distance = 0.5 * (found - expected).abs().sum(Kind::Double).double_value(&[]);
        assert!(distance < bound, "{}: {distance} of {bound}", toy.name());
        assert!(bound < 0.02, "{}: a bound of {bound} would see nothing", toy.name());
    }
}

#[test]
fn moments_are_those_of_the_forms() {
    let n = 100_000;
    let rings = (0.8f64.powi(2) + 1.6f64.powi(2) + 2.4f64.powi(2) + 3.2f64.powi(2)) / 4.0;
    let spiral = 9.75 * PI * PI / 16.0;
    // The mean of each coordinate, and of the squared distance from the origin.
    let expected = [
        (Toy::EightGaussians, [0.0, 0.0, 2.8f64.powi(2) + 2.0 * 0.28f64.powi(2)]),
        (
            Toy::TwoMoons,
            [0.0, 0.0, 4.0 * (1.3125 - 1.0 / PI) + 2.0 * 0.2f64.powi(2)],
        ),
        (Toy::Rings, [0.0, 0.0, rings + 0.12f64.powi(2)]),
        (Toy::Checkerboard, [0.0, 0.0, 2.0 * 16.0 / 3.0]),
        (Toy::Pinwheel, [0.0, 0.0, 4.0 * (1.0 + 0.3f64.powi(2) + 0.1f64.powi(2))]),
        (Toy::SwissRoll, [0.5, 0.5 / (3.0 * PI), spiral + 2.0 * 0.15f64.powi(2)]),
    ];
    for (toy, expected) in expected {
        let x = points(toy, n, "moments").to_kind(Kind::Double);
        let squared = x.square().sum_dim_intlist(1, true, Kind::Double);
        let values = Tensor::cat(&[x, squared], 1);
        for (i, expected) in expected.iter().enumerate() {
            let column = values.select(1, i as i64);
            let (mean, deviation) = (
                column.mean(Kind::Double).double_value(&[]),
                column.std(true).double_value(&[]),
            );
            let off = (mean - expected).abs() / (deviation / (n as f64).sqrt());
            assert!(off < SIGMAS, "{} {i}: {mean}, {expected}", toy.name());
        }
    }
}

#[test]
fn points_are_in_the_square_and_repeat() {
    let n = 20_000;
    for toy in Toy::ALL {
        let x = points(toy, n, "repeat");
        assert_eq!((x.size(), x.kind(), x.device()), (vec![n, 2], Kind::Float, Device::Cpu));
        assert_eq!(x, points(toy, n, "repeat"), "{}", toy.name());
        assert_ne!(x, points(toy, n, "other"), "{}", toy.name());
        let outside = x.abs().amax([1i64].as_slice(), false).gt(HALF).to_kind(Kind::Double);
        let share = outside.mean(Kind::Double).double_value(&[]);
        assert!(share < 2e-3, "{}: {share}", toy.name());
        assert_eq!(points(toy, 0, "none").size(), [0, 2]);
    }
}

#[test]
fn no_point_of_the_board_is_rounded_off_it() {
    let x = points(Toy::Checkerboard, 500_000, "board");
    let density = Toy::Checkerboard.log_density(&x).unwrap();
    assert_eq!(density.isfinite().all().int64_value(&[]), 1);
}

/// Two normal distributions with unequal means and deviations, whose mean distances are known: of
/// N(m, s^2), E|x| = s sqrt(2/pi) exp(-m^2/(2 s^2)) + m erf(m / (s sqrt 2)).
#[test]
fn the_energy_distance_is_that_of_the_formula() {
    let erf = |x: f64| Tensor::from(x).to_kind(Kind::Double).erf().double_value(&[]);
    let mean = |m: f64, s: f64| s * (2.0 / PI).sqrt() * (-m * m / (2.0 * s * s)).exp() + m * erf(m / (s * 2f64.sqrt()));
    let (m, s) = (0.8f64, 1.7f64);
    let (xy, xx, yy) = (
        mean(m, (1.0 + s * s).sqrt()),
        mean(0.0, s * 2f64.sqrt()),
        mean(0.0, 2f64.sqrt()),
    );
    let want = (2.0 * xy - xx - yy) / yy;
    let mut rng = Stream::new(5, "samples");
    let mut draw = || rng.normal(&[400, 1], Device::Cpu);
    let x = draw() * s + m;
    let mut close = |m: f64, s: f64, want: f64| {
        let found: Vec<f64> = (0..40)
            .map(|_| energy_distance(&(draw() * s + m), &draw()).unwrap())
            .collect();
        let mean = found.iter().sum::<f64>() / 40.0;
        let error = (found.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 39.0 / 40.0).sqrt();
        assert!(
            (mean - want).abs() < SIGMAS * error && error < 0.02,
            "{mean} {error} {want}"
        );
    };
    close(m, s, want);
    close(0.0, 1.0, 0.0);
    // Of any shape, and of no scale.
    let image = |t: &Tensor| (t * 3.0).view([-1, 1, 2, 2]);
    let [a, b] = ["a", "b"].map(|name| Stream::new(6, name).normal(&[200, 4], Device::Cpu));
    let [flat, shaped] = [
        energy_distance(&(&a + 0.5), &b),
        energy_distance(&image(&(&a + 0.5)), &image(&b)),
    ];
    assert!((flat.unwrap() - shaped.unwrap()).abs() < 1e-6);
    assert!(energy_distance(&x.narrow(0, 0, 1), &x).is_err());
    assert!(energy_distance(&x, &x.zeros_like()).is_err());
}
