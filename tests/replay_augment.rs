//! Random changes to replayed chains: each against a closed form or golden values (tests/golden/colour.py).

use ebm::data::{ColourChange, ResizedCrop, replay_augment};
use ebm::data::{ColourJitter, ReplayAugment};
use ebm::rng::Stream;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const SIGMAS: f64 = 5.0;

fn images(n: i64, channels: i64) -> Tensor {
    tch::set_num_threads(1);
    Stream::new(1, "images").uniform(&[n, channels, 6, 8], -1.0, 1.0, Device::Cpu)
}

fn everything() -> ReplayAugment {
    ReplayAugment {
        resized_crop: Some([0.08, 1.0]),
        flip: true,
        jitter: ColourJitter {
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.4,
        },
        grey: 0.2,
    }
}

fn run(x: &Tensor, changes: &ReplayAugment, seed: u64) -> (Tensor, u64) {
    let mut rng = Stream::new(seed, "augment");
    (replay_augment(x, changes, &mut rng), rng.counter())
}

fn max_error(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// Which images are, pixel by pixel, the same, `[B]`.
fn same(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).abs().flatten(1, -1).amax([1], false).eq(0.0)
}

fn share(of: &Tensor) -> f64 {
    of.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

fn assert_share(found: f64, expected: f64, n: i64) {
    let z = (found - expected) / (expected * (1.0 - expected) / n as f64).sqrt();
    assert!(
        z.abs() < SIGMAS,
        "{found} of {n}, expected {expected}: {z} standard errors"
    );
}

#[test]
fn nothing_asked_for_is_the_identity_and_draws_nothing() {
    let x = images(5, 3);
    let (y, draws) = run(&x, &ReplayAugment::default(), 2);
    assert_eq!(y, x);
    assert_eq!(draws, 0);
    assert_ne!(y.data_ptr(), x.data_ptr());
    // The whole image as the part: only the arithmetic of its grid is left, some roundings of a pixel's place.
    let whole = ReplayAugment {
        resized_crop: Some([1.0, 1.0]),
        ..ReplayAugment::default()
    };
    assert!(max_error(&run(&x, &whole, 2).0, &x) < 1e-5);
    let ones = Tensor::ones([5], (Kind::Float, Device::Cpu));
    let unchanged = ColourChange {
        brightness: Some(ones.copy()),
        contrast: Some(ones.copy()),
        saturation: Some(ones.copy()),
        hue: Some(ones.zeros_like()),
    };
    assert!(max_error(&unchanged.apply(&x), &x) < 1e-6);
}

#[test]
fn flip_only_flips() {
    let x = images(2000, 2);
    let (y, draws) = run(
        &x,
        &ReplayAugment {
            flip: true,
            ..ReplayAugment::default()
        },
        3,
    );
    assert_eq!(draws, 1);
    let (kept, mirrored) = (same(&y, &x), same(&y, &x.flip([3])));
    assert_eq!(share(&kept.logical_xor(&mirrored)), 1.0, "each is the one or the other");
    assert_share(share(&mirrored), 0.5, 2000);
}

/// Bilinear interpolation is exact for a ramp: the pixel in row i of h shows the ramp at
/// (top + (i + 1/2) height / h) h - 1/2, but no further than the centres of the outermost pixels.
#[test]
fn a_crop_of_a_ramp_is_a_ramp() {
    let ([h, w], n) = ([6i64, 8i64], 40i64);
    let mut rng = Stream::new(4, "crop");
    let crop = ResizedCrop::draw([0.08, 1.0], n, [h, w], Device::Cpu, &mut rng);
    let count = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu));
    let ramp = |rows: &Tensor, columns: &Tensor| {
        rows.view([-1, 1, h, 1]) * 0.11f64 - columns.view([-1, 1, 1, w]) * 0.07f64 + 0.1f64
    };
    let at = |start: &Tensor, side: &Tensor, pixels: i64| {
        let shares = start.view([-1, 1]) + side.view([-1, 1]) * ((count(pixels) + 0.5) / pixels as f64).view([1, -1]);
        (shares * pixels as f64 - 0.5).clamp(0.0, (pixels - 1) as f64)
    };
    let x = ramp(&count(h), &count(w)).expand([n, 1, h, w], false);
    let expected = ramp(&at(&crop.top, &crop.height, h), &at(&crop.left, &crop.width, w));
    let error = max_error(&crop.apply(&x), &expected);
    // A place in the image is right to some roundings of 8.
    assert!(error < 1e-5, "{error}");
}

/// Between 0.2 and 0.5 of the area every part fits, so that none is drawn anew and laws are plain.
#[test]
fn parts_have_the_law_that_was_asked_for() {
    let n = 20_000;
    let mut rng = Stream::new(5, "crop");
    let crop = ResizedCrop::draw([0.2, 0.5], n, [10, 10], Device::Cpu, &mut rng);
    assert_eq!(rng.counter(), 3);
    let double = |t: &Tensor| t.to_kind(Kind::Double);
    let (height, width) = (double(&crop.height), double(&crop.width));
    let uniform = |t: Tensor, low: f64, high: f64| {
        let [least, most] = [t.min(), t.max()].map(|t| t.double_value(&[]));
        assert!(least > low - 1e-6 && most < high + 1e-6, "{least} to {most}");
        let z = (share(&t) - (low + high) / 2.0) / ((high - low) / (12.0 * n as f64).sqrt());
        assert!(z.abs() < SIGMAS, "{z} standard errors");
        // Mean square about the middle: (high - low)^2 / 12, with the variance (high - low)^4 / 180.
        let spread = share(&(t - (low + high) / 2.0).square()) / (high - low).powi(2);
        let z = (spread - 1.0 / 12.0) / (1.0 / (180.0 * n as f64)).sqrt();
        assert!(z.abs() < SIGMAS, "{z} standard errors of the spread");
    };
    uniform(&height * &width, 0.2, 0.5);
    uniform((&width / &height).log(), -(4f64 / 3.0).ln(), (4f64 / 3.0).ln());
    uniform(double(&crop.top) / (1.0 - &height), 0.0, 1.0);
    uniform(double(&crop.left) / (1.0 - &width), 0.0, 1.0);
    // On an image that is not square the aspect is that of pixels.
    let crop = ResizedCrop::draw([0.2, 0.3], n, [10, 15], Device::Cpu, &mut rng);
    let aspect = (double(&crop.width) * 15.0 / (double(&crop.height) * 10.0)).log();
    uniform(aspect, -(4f64 / 3.0).ln(), (4f64 / 3.0).ln());
    // Parts of nearly the whole seldom fit; none leaves the image.
    let crop = ResizedCrop::draw([0.9, 1.0], n, [10, 10], Device::Cpu, &mut rng);
    for (start, side) in [(&crop.top, &crop.height), (&crop.left, &crop.width)] {
        assert!(start.min().double_value(&[]) >= 0.0 && (start + side).max().double_value(&[]) < 1.0 + 1e-6);
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/colour.json")).unwrap()
}

fn tensor(value: &Value) -> Tensor {
    let values: Vec<f64> = serde_json::from_value(value.clone()).unwrap();
    Tensor::from_slice(&values).to_kind(Kind::Float)
}

#[test]
fn colours_change_as_in_pytorch() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let channels = case["channels"].as_i64().unwrap();
        let parts: Vec<String> = serde_json::from_value(case["parts"].clone()).unwrap();
        let part = |name: &str| {
            parts
                .iter()
                .any(|p| p == name)
                .then(|| tensor(&golden["factors"][name]))
        };
        let change = ColourChange {
            brightness: part("brightness"),
            contrast: part("contrast"),
            saturation: part("saturation"),
            hue: part("hue"),
        };
        let x = tensor(&golden["images"][channels.to_string()]).view([4, channels, 4, 4]);
        let error = max_error(&change.apply(&x).view([-1]), &tensor(&case["values"]));
        println!("{channels} channels, {parts:?}: {error:.1e}");
        // Up to a dozen roundings of numbers of 2 at most, stretched by factors below 2.
        assert!(error < 3e-6, "{channels} channels, {parts:?}: {error}");
    }
}

#[test]
fn factors_are_drawn_from_their_intervals() {
    let jitter = ColourJitter {
        brightness: 0.4,
        contrast: 1.5,
        saturation: 0.2,
        hue: 0.1,
    };
    let n = 20_000;
    let mut rng = Stream::new(6, "colours");
    let change = ColourChange::draw(&jitter, 3, n, Device::Cpu, &mut rng);
    assert_eq!(rng.counter(), 4);
    let cases = [
        (change.brightness, 0.6, 1.4),
        (change.contrast, 0.0, 2.5),
        (change.saturation, 0.8, 1.2),
        (change.hue, -0.1, 0.1),
    ];
    for (factor, low, high) in cases {
        let factor = factor.unwrap();
        assert!(factor.min().double_value(&[]) >= low - 1e-6 && factor.max().double_value(&[]) <= high + 1e-6);
        let z = (share(&factor) - (low + high) / 2.0) / ((high - low) / (12.0 * n as f64).sqrt());
        assert!(z.abs() < SIGMAS, "{z} standard errors");
    }
    let grey = ColourChange::draw(&jitter, 1, n, Device::Cpu, &mut rng);
    assert!(grey.saturation.is_none() && grey.hue.is_none() && grey.contrast.is_some());
    assert_eq!(rng.counter(), 6);
}

#[test]
fn four_in_five_are_jittered_and_some_lose_their_colour() {
    let x = images(5000, 3);
    let jitter = ColourJitter {
        brightness: 0.5,
        ..ColourJitter::default()
    };
    let (y, draws) = run(
        &x,
        &ReplayAugment {
            jitter,
            ..ReplayAugment::default()
        },
        7,
    );
    assert_eq!(draws, 2);
    assert_share(share(&same(&x, &y)), 0.2, 5000);
    let (y, _) = run(
        &x,
        &ReplayAugment {
            grey: 0.3,
            ..ReplayAugment::default()
        },
        8,
    );
    let is_grey = same(&y.narrow(1, 0, 2), &y.narrow(1, 1, 2));
    assert_eq!(
        share(&is_grey.logical_xor(&same(&x, &y))),
        1.0,
        "each is grey or as it was"
    );
    assert_share(share(&is_grey), 0.3, 5000);
    let luma = x.narrow(1, 0, 1) * 0.299 + x.narrow(1, 1, 1) * 0.587 + x.narrow(1, 2, 1) * 0.114;
    let mask = is_grey.view([-1, 1, 1, 1]);
    assert!(max_error(&y.where_self(&mask, &x), &luma.expand_as(&x).where_self(&mask, &x)) < 1e-6);
}

#[test]
fn everything_at_once_stays_in_range_and_repeats() {
    for channels in [1, 3] {
        let x = images(500, channels);
        let (y, draws) = run(&x, &everything(), 9);
        assert_eq!(y.size(), x.size());
        assert!(y.abs().max().double_value(&[]) <= 1.0 && share(&y.isfinite()) == 1.0);
        assert_eq!((y, draws), run(&x, &everything(), 9));
        // Crop 3, mirror 1, then brightness, contrast and which; saturation, hue and grey with colours only.
        assert_eq!(draws, if channels == 3 { 10 } else { 7 });
    }
}
