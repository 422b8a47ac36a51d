//! Charts of an evaluation: valid PNGs that show what they were given, and sane ones of odd input.

use std::path::Path;

use ebm::eval::Classifications;
use ebm::report::{Bin, confusion, histogram, lines, reliability};
use ebm::rng::Stream;
use image::RgbImage;
use tch::{Device, Kind};

const BLUE: [u8; 3] = [31, 119, 180];
const ORANGE: [u8; 3] = [224, 110, 20];

/// Draws into a file and reads the PNG back.
fn drawn(draw: impl FnOnce(&Path) -> ebm::Result<()>) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chart.png");
    draw(&path).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    image::open(&path).unwrap().to_rgb8()
}

/// Draws what must be refused; nothing is written.
fn refused(mention: &str, draw: impl FnOnce(&Path) -> ebm::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let error = draw(&folder.path().join("chart.png")).unwrap_err();
    assert!(error.is_input() && error.to_string().contains(mention), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn near(p: &image::Rgb<u8>, colour: [u8; 3], by: u8) -> bool {
    p.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < by)
}

/// The places of the pixels of about this colour right of the labels and left of the legend.
fn coloured(picture: &RgbImage, colour: [u8; 3]) -> Vec<(u32, u32)> {
    // A line of the grid runs to the end of the axes; a heat map has none.
    let grid = |y: u32| (0..picture.width()).filter(move |x| near(picture.get_pixel(*x, y), [232; 3], 6));
    let line = (0..picture.height()).find(|y| grid(*y).count() > 300);
    let end = line.and_then(|y| grid(y).max()).unwrap_or(picture.width());
    let inside = |x: u32| x > 72 && x <= end;
    let found = picture
        .enumerate_pixels()
        .filter(|(x, _, p)| near(p, colour, 30) && inside(*x));
    found.map(|(x, y, _)| (x, y)).collect()
}

fn mean_x(places: &[(u32, u32)]) -> f64 {
    places.iter().map(|p| f64::from(p.0)).sum::<f64>() / places.len() as f64
}

fn normal(seed: u64, n: i64, mean: f64, deviation: f64) -> Vec<f64> {
    let drawn = Stream::new(seed, "charts").normal(&[n], Device::Cpu) * deviation + mean;
    Vec::try_from(drawn.to_kind(Kind::Double)).unwrap()
}

fn named(sets: &[(&str, &[f64])]) -> Vec<(String, Vec<f64>)> {
    sets.iter()
        .map(|(name, scores)| (name.to_string(), scores.to_vec()))
        .collect()
}

fn histogram_of(sets: &[(&str, &[f64])]) -> RgbImage {
    drawn(|path| histogram(&named(sets), "Scores", "energy", path))
}

#[test]
fn a_histogram_shows_each_set_where_its_scores_are() {
    let (data, outliers) = (normal(1, 2000, 0.0, 1.0), normal(2, 500, 5.0, 1.0));
    let picture = histogram_of(&[("data", &data), ("outliers", &outliers)]);
    assert_eq!(picture.dimensions(), (1000, 480));
    let (blue, orange) = (coloured(&picture, BLUE), coloured(&picture, ORANGE));
    assert!(
        blue.len() > 500 && orange.len() > 500,
        "{} {}",
        blue.len(),
        orange.len()
    );
    // The axis is about 11 deviations and 700 pixels wide.
    let apart = mean_x(&orange) - mean_x(&blue);
    assert!((200.0..450.0).contains(&apart), "{apart}");
    let moved = histogram_of(&[("data", &data), ("outliers", &normal(2, 500, 1.0, 1.0))]);
    assert_ne!(picture, moved);
}

#[test]
fn scores_far_out_do_not_flatten_the_rest() {
    let (mut data, outliers) = (normal(1, 2000, 0.0, 1.0), normal(2, 2000, 2.0, 1.0));
    let width = |picture: &RgbImage| {
        let blue = coloured(picture, BLUE);
        blue.iter().map(|p| p.0).max().unwrap() - blue.iter().map(|p| p.0).min().unwrap()
    };
    let before = histogram_of(&[("data", &data), ("outliers", &outliers)]);
    data[17] = 1e12;
    data[18] = -1e9;
    let after = histogram_of(&[("data", &data), ("outliers", &outliers)]);
    assert!(
        width(&after) * 10 > width(&before) * 9,
        "{} {}",
        width(&after),
        width(&before)
    );
    // A whole set far out: the scale grows, and the data keep a part of the axis that can be read.
    let far = histogram_of(&[("data", &data), ("noise", &normal(3, 500, 1e5, 100.0))]);
    assert!(
        width(&far) > 40 && !coloured(&far, ORANGE).is_empty(),
        "{}",
        width(&far)
    );
}

#[test]
fn one_score_far_out_among_few_does_not_squeeze_the_rest_and_is_counted() {
    let width = |picture: &RgbImage| {
        let blue = coloured(picture, BLUE);
        blue.iter().map(|p| p.0).max().unwrap() - blue.iter().map(|p| p.0).min().unwrap()
    };
    let mut data = normal(1, 60, 0.0, 1.0);
    let before = histogram_of(&[("data", &data)]);
    data[17] = 1e6;
    let one = histogram_of(&[("data", &data)]);
    assert!(
        width(&one) * 10 > width(&before) * 8,
        "{} {}",
        width(&one),
        width(&before)
    );
    // The legend has a line for what lies beyond, on the side where it lies.
    let legend = |picture: &RgbImage| image::imageops::crop_imm(picture, 760, 62, 240, 22).to_image();
    let dark = |picture: &RgbImage| legend(picture).pixels().filter(|p| p[0] < 128).count();
    assert!(
        dark(&before) == 0 && dark(&one) > 50,
        "{} {}",
        dark(&before),
        dark(&one)
    );
    data[17] = -1e6;
    assert_ne!(legend(&one), legend(&histogram_of(&[("data", &data)])));
}

#[test]
fn odd_scores_give_a_sane_histogram_or_an_error() {
    for sets in [
        vec![("one", &[0.0][..])],
        vec![("constant", &[3.0; 20][..])],
        vec![("constant", &[-1e9; 20][..]), ("other", &[1e9; 2][..])],
        vec![("tiny", &[1e-300, 2e-300][..])],
        vec![("huge", &[-1e299, 1e299][..])],
        vec![("neighbours", &[1.0, 1.0 + f64::EPSILON][..])],
    ] {
        let picture = histogram_of(&sets);
        assert!(coloured(&picture, BLUE).len() > 100, "{sets:?}");
    }
    let many: Vec<(String, Vec<f64>)> = (0..30).map(|i| (format!("set {i}"), vec![f64::from(i)])).collect();
    let tall = drawn(|path| histogram(&many, "", "energy", path));
    assert!(tall.height() > 600, "the legend has room");
    refused("found none", |path| histogram(&[], "", "energy", path));
    for bad in [&[1.0, f64::NAN][..], &[f64::INFINITY][..], &[1e308][..], &[][..]] {
        let sets = named(&[("data", &[1.0]), ("spoilt", bad)]);
        refused("spoilt", |path| histogram(&sets, "", "energy", path));
    }
}

#[test]
fn a_reliability_diagram_shows_the_gaps() {
    let mut rng = Stream::new(5, "reliability");
    let labels = rng.integers(10, 2000, Device::Cpu);
    let logits = rng.normal(&[2000, 10], Device::Cpu) + labels.one_hot(10) * 2.0;
    let of = |scale: f64| {
        let mut sums = Classifications::new(10);
        sums.add(&(&logits * scale), &labels).unwrap();
        sums.finish().unwrap()
    };
    const GAP: [u8; 3] = [239, 189, 192];
    let picture = |bins: &[Bin], ece: f64| drawn(|path| reliability(bins, ece, "Reliability", path));
    let (fair, sure) = (of(1.8), of(6.0));
    assert!(sure.ece > 3.0 * fair.ece, "{} {}", sure.ece, fair.ece);
    let (fair, over) = (picture(&fair.bins, fair.ece), picture(&sure.bins, sure.ece));
    assert_eq!(fair.dimensions(), (560, 640));
    let (few, many) = (coloured(&fair, GAP).len(), coloured(&over, GAP).len());
    assert!(many > 2 * few + 1000, "{few} {many}");
    assert_ne!(over, picture(&sure.bins, 0.0), "the error is written");
    assert_ne!(over, picture(&sure.mass_bins, sure.ece));

    let empty = Bin {
        low: 0.0,
        high: 0.5,
        count: 0,
        confidence: 0.0,
        accuracy: 0.0,
    };
    let one = Bin {
        low: 1.0,
        high: 1.0,
        count: 3,
        confidence: 1.0,
        accuracy: 1.0,
    };
    picture(&[empty.clone(), one.clone()], 0.0);
    refused("found 0 bins", |path| reliability(&[empty], 0.0, "", path));
    refused("found 0 bins", |path| reliability(&[], 0.0, "", path));
    refused("1 other numbers", |path| {
        reliability(std::slice::from_ref(&one), f64::NAN, "", path)
    });
    refused("1 other numbers", |path| {
        reliability(&[Bin { accuracy: 1.5, ..one }], 0.0, "", path)
    });
}

#[test]
fn a_confusion_matrix_is_dark_where_the_counts_are() {
    let classes = |k: usize| (0..k).map(|i| format!("class {i}")).collect::<Vec<_>>();
    let matrix = |k: usize, hit: &dyn Fn(usize, usize) -> u64| -> Vec<Vec<u64>> {
        (0..k).map(|i| (0..k).map(|j| hit(i, j)).collect()).collect()
    };
    let picture = |m: &[Vec<u64>]| drawn(|path| confusion(m, &classes(m.len()), "Confusion", path));
    const FULL: [u8; 3] = [8, 48, 107];
    let diagonal = picture(&matrix(10, &|i, j| if i == j { 100 } else { 0 }));
    assert!(
        diagonal.width() > 600 && diagonal.height() > 600,
        "{:?}",
        diagonal.dimensions()
    );
    let dark = coloured(&diagonal, FULL);
    // Darkness runs from the upper left to the lower right: the places correlate.
    let mean_y = dark.iter().map(|p| f64::from(p.1)).sum::<f64>() / dark.len() as f64;
    let middle = mean_x(&dark);
    let along = |p: &(u32, u32)| (f64::from(p.0) - middle) * (f64::from(p.1) - mean_y);
    assert!(dark.len() > 10_000 && dark.iter().map(along).sum::<f64>() > 0.0);
    let other = picture(&matrix(10, &|i, j| if i + j == 9 { 100 } else { 0 }));
    assert!(coloured(&other, FULL).iter().map(along).sum::<f64>() < 0.0);
    // The numbers differ where the shares do not.
    assert_ne!(diagonal, picture(&matrix(10, &|i, j| if i == j { 700 } else { 0 })));

    for k in [1, 2, 100, 300] {
        let side = picture(&matrix(k, &|i, j| (i * j) as u64)).width();
        assert!((60..1400).contains(&side), "{k} classes: {side}");
    }
    picture(&matrix(3, &|_, _| 0));
    refused("found 0 rows", |path| confusion(&[], &[], "", path));
    refused("2 names", |path| {
        confusion(&matrix(3, &|_, _| 1), &classes(2), "", path)
    });
    refused("square", |path| {
        confusion(&[vec![1, 2], vec![3]], &classes(2), "", path)
    });
}

#[test]
fn lines_go_through_their_points() {
    let falling = vec![(0.0, 1.0), (0.1, 0.6), (0.2, 0.1)];
    let series = |points: &[(f64, f64)]| vec![("robust".to_string(), points.to_vec())];
    let picture = |points: &[(f64, f64)]| drawn(|path| lines(&series(points), "epsilon", "accuracy", path));
    let found = picture(&falling);
    assert_eq!(found.dimensions(), (900, 480));
    let blue = coloured(&found, BLUE);
    let (first, last) = (
        blue.iter().min_by_key(|p| p.0).unwrap(),
        blue.iter().max_by_key(|p| p.0).unwrap(),
    );
    assert!(
        last.0 > first.0 + 500 && last.1 > first.1 + 250,
        "it falls: {first:?} to {last:?}"
    );
    let turned: Vec<(f64, f64)> = falling.iter().rev().copied().collect();
    assert_eq!(found, picture(&turned), "the order of the points means nothing");
    assert_ne!(found, picture(&[(0.0, 1.0), (0.1, 0.8), (0.2, 0.1)]));

    assert!(coloured(&picture(&[(1.0, 0.5)]), BLUE).len() > 10, "one point is a dot");
    picture(&[(1.0, 0.5), (1.0, 0.5)]);
    picture(&[(-1e299, 0.0), (1e299, 1e-300)]);
    refused("found none", |path| lines(&[], "x", "y", path));
    refused("robust", |path| lines(&series(&[]), "x", "y", path));
    refused("found 1 others", |path| {
        lines(&series(&[(0.0, f64::NAN)]), "x", "y", path)
    });
}
