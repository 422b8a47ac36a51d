//! Heat maps of densities: colours where the mass is, dots where points are, and refusals.

use std::path::Path;

use ebm::report::{DATA_COLOUR, Dots, HeatPanel, SAMPLE_COLOUR, heat_map, heat_maps};
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

const AREA: [f64; 4] = [-2.0, 2.0, -2.0, 2.0];

/// A density that is even where `x < 0` and `y < 0`, and nothing elsewhere.
fn quarter() -> Tensor {
    let log = Tensor::full([20, 20], f64::NEG_INFINITY, (Kind::Double, Device::Cpu));
    let _ = log.narrow(0, 0, 10).narrow(1, 0, 10).fill_(-700.0);
    log
}

fn panel<'a>(log_density: &'a Tensor, dots: Vec<Dots<'a>>) -> HeatPanel<'a> {
    HeatPanel {
        title: "a quarter",
        log_density,
        area: AREA,
        dots,
    }
}

fn drawn(panels: &[HeatPanel], columns: usize) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heat.png");
    heat_maps(panels, columns, &path).unwrap();
    image::open(&path).unwrap().to_rgb8()
}

fn near(p: &Rgb<u8>, colour: [u8; 3], by: u8) -> bool {
    p.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < by)
}

/// The places of pixels of about this colour above the legend.
fn places(picture: &RgbImage, colour: [u8; 3]) -> Vec<(u32, u32)> {
    let above = picture.height() - 40;
    let found = picture
        .enumerate_pixels()
        .filter(|(_, y, p)| *y < above && near(p, colour, 12));
    found.map(|(x, y, _)| (x, y)).collect()
}

#[test]
fn mass_is_dark_and_the_lowest_y_is_below() {
    let log = quarter();
    let picture = drawn(&[panel(&log, vec![])], 1);
    let dark = places(&picture, [43, 123, 183]);
    let x = dark.iter().map(|p| p.0);
    let y = dark.iter().map(|p| p.1);
    let (left, right) = (x.clone().min().unwrap(), x.max().unwrap());
    let (top, below) = (y.clone().min().unwrap(), y.max().unwrap());
    // A quarter of a map of 320 pixels, as wide as it is high, in its lower left.
    for side in [right - left, below - top] {
        assert!((155..=164).contains(&side), "{side}");
    }
    assert!(dark.len() > 150 * 150);
    assert!(left < 100 && top > picture.height() / 3, "{left} {top}");
    // A density of f32 and one with another constant are the same picture.
    let other = (log + 650.0).to_kind(Kind::Float);
    assert_eq!(drawn(&[panel(&other, vec![])], 1), picture);
}

#[test]
fn points_are_dots_and_those_outside_are_left_out() {
    let log = quarter();
    let empty = drawn(&[panel(&log, vec![])], 1);
    let at = |x: f64, y: f64| {
        let points = Tensor::from_slice(&[x, y]).view([1, 2]);
        let dots = Dots {
            name: "samples",
            points: &points,
            colour: SAMPLE_COLOUR,
        };
        let picture = drawn(&[panel(&log, vec![dots])], 1);
        let differ = picture.enumerate_pixels().zip(empty.pixels());
        let above = picture.height() - 40;
        let changed = differ.filter(|((_, y, a), b)| *y < above && a != b);
        changed.map(|((x, y, _), _)| (x, y)).collect::<Vec<_>>()
    };
    let dot = at(1.0, 1.0);
    assert!((4..40).contains(&dot.len()), "{dot:?}");
    let (x, y) = dot[dot.len() / 2];
    assert!(x > empty.width() / 2 && y < empty.height() / 2, "{x} {y}");
    assert_eq!(at(2.5, 0.0), []);
}

#[test]
fn panels_stand_in_a_grid_of_any_form() {
    let (log, wide) = (quarter(), quarter());
    let one = drawn(&[panel(&log, vec![])], 3);
    let points = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
    let dots = || Dots {
        name: "data",
        points: &points,
        colour: DATA_COLOUR,
    };
    let flat = HeatPanel {
        title: "",
        log_density: &wide,
        area: [0.0, 4.0, -1.0, 1.0],
        dots: vec![dots()],
    };
    let panels = [panel(&log, vec![dots()]), panel(&log, vec![]), flat];
    let picture = drawn(&panels, 2);
    assert_eq!(picture.width(), 2 * one.width());
    // Two rows of panels, and the legend once.
    assert_eq!(picture.height() - 36, 2 * (one.height() - 36));
}

#[test]
fn what_is_no_density_is_refused() {
    let good = quarter();
    let full = |value: f64, size: &[i64]| Tensor::full(size, value, (Kind::Double, Device::Cpu));
    let refused = |panels: &[HeatPanel], mention: &str| {
        let folder = tempfile::tempdir().unwrap();
        let error = heat_maps(panels, 1, &folder.path().join("heat.png")).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(mention), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refused(&[], "found none");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(&[panel(&full(value, &[4, 4]), vec![])], "above 0 somewhere");
    }
    for size in [vec![16], vec![0, 4], vec![1, 4, 4]] {
        refused(&[panel(&full(0.0, &size), vec![])], "[rows,columns]");
    }
    let area = [1.0, 1.0, 0.0, 2.0];
    refused(
        &[HeatPanel {
            area,
            ..panel(&good, vec![])
        }],
        "an area",
    );
    let points = full(0.0, &[3]);
    let dots = Dots {
        name: "data",
        points: &points,
        colour: DATA_COLOUR,
    };
    refused(&[panel(&good, vec![dots])], "[n,2]");
    let missing = heat_map(&panel(&good, vec![]), Path::new("no/such/folder/heat.png"));
    assert!(missing.is_err());
}
