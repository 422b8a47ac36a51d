//! Normalisation and random changes against slow references.

use ebm::data;
use ebm::data::Augment;
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

use crate::files::*;

const CPU: Device = Device::Cpu;

fn batch(n: i64, c: i64, h: i64, w: i64) -> Tensor {
    Tensor::from_slice(&pattern((n * c * h * w) as usize)).view([n, c, h, w])
}

#[test]
fn normalisation_is_exact_at_the_ends_and_returns_every_level() {
    let levels: Vec<u8> = (0..=255).collect();
    let unit = data::to_unit(&Tensor::from_slice(&levels));
    let values = floats(&unit);
    assert_eq!((values[0], values[255]), (-1.0, 1.0));
    for (u, x) in levels.iter().zip(&values) {
        // Rounded twice in f32 at magnitudes up to 2: within one spacing of 2.
        assert!((f64::from(*x) - (f64::from(*u) / 127.5 - 1.0)).abs() <= 2.0 * f64::from(f32::EPSILON));
    }
    assert_eq!(bytes(&data::to_u8(&unit)), levels);
    assert_eq!(
        bytes(&data::to_u8(&Tensor::from_slice(&[
            -3.0f32,
            3.0,
            0.5 / 127.5 * 0.9 - 1.0
        ]))),
        [0, 255, 0]
    );
}

/// The place a position of a reflect-padded axis shows, by walking back and forth from the edge.
fn reflected(at: i64, n: i64) -> i64 {
    let (mut place, mut step) = (0, 1);
    for _ in 0..at.abs() {
        if place + step < 0 || place + step >= n {
            step = -step;
        }
        place += step;
    }
    place
}

#[test]
fn crop_and_flip_equal_a_slow_reference_at_the_drawn_places() {
    let _turn = drawing();
    let (n, c, h, w, pad) = (64, 3, 7, 9, 4);
    let x = batch(n, c, h, w);
    for (pad_crop, flip) in [(pad, false), (0, true), (pad, true)] {
        let changes = Augment {
            pad_crop: pad_crop as usize,
            flip,
            dequantize: false,
        };
        let mut rng = Stream::new(3, "test");
        let mut twin = rng.clone();
        let found = data::to_u8(&data::augment(&x, &changes, &mut rng));
        let zeros = vec![0; n as usize];
        let (dy, dx) = match pad_crop {
            0 => (zeros.clone(), zeros.clone()),
            _ => (
                numbers(&twin.integers(2 * pad + 1, n, CPU)),
                numbers(&twin.integers(2 * pad + 1, n, CPU)),
            ),
        };
        let flips = if flip {
            numbers(&twin.integers(2, n, CPU))
        } else {
            zeros
        };
        assert_eq!(rng, twin, "as many draws as documented");
        let (found, x) = (bytes(&found), bytes(&x));
        for (i, v) in found.into_iter().enumerate() {
            let i = i as i64;
            let (column, row, channel, image) = (i % w, i / w % h, i / (w * h) % c, i / (w * h * c));
            let column = if flips[image as usize] == 1 {
                w - 1 - column
            } else {
                column
            };
            let (y, z) = (
                row + dy[image as usize] - pad_crop,
                column + dx[image as usize] - pad_crop,
            );
            let place = ((image * c + channel) * h + reflected(y, h)) * w + reflected(z, w);
            assert_eq!(v, x[place as usize]);
        }
    }
}

#[test]
fn a_crop_lies_inside_torchs_own_reflection_padding() {
    let _turn = drawing();
    let x = batch(50, 1, 6, 6);
    let changes = Augment {
        pad_crop: 2,
        ..Augment::default()
    };
    let crops = data::augment(&x, &changes, &mut Stream::new(9, "test"));
    let padded = data::to_unit(&x).reflection_pad2d([2, 2, 2, 2]);
    for i in 0..50 {
        let (crop, padded) = (crops.get(i), padded.get(i));
        let inside = (0..25).any(|at| padded.narrow(1, at / 5, 6).narrow(2, at % 5, 6) == crop);
        assert!(inside, "image {i}");
    }
}

#[test]
fn half_of_the_images_are_mirrored() {
    let _turn = drawing();
    let n = 10_000;
    let x = Tensor::from_slice(&[0u8, 255])
        .view([1, 1, 1, 2])
        .expand([n, 1, 1, 2], false);
    let changes = Augment {
        flip: true,
        ..Augment::default()
    };
    let y = data::augment(&x, &changes, &mut Stream::new(1, "test"));
    let mirrored = y.narrow(3, 0, 1).gt(0.0).sum(Kind::Double).double_value(&[]);
    // Binomial(10000, 1/2) has the deviation 50: five of them.
    assert!((mirrored - 5000.0).abs() < 250.0, "{mirrored} of 10000");
}

#[test]
fn dequantised_values_fill_their_levels_interval() {
    let _turn = drawing();
    let n = 4096;
    let x = Tensor::arange(256, (Kind::Uint8, CPU))
        .view([1, 1, 256, 1])
        .expand([1, 1, 256, n], false);
    let changes = Augment {
        dequantize: true,
        ..Augment::default()
    };
    let y = data::augment(&x, &changes, &mut Stream::new(1, "test"));
    let within = (y.to_kind(Kind::Double) + 1.0) * 128.0 - x.to_kind(Kind::Double);
    let (low, high) = (within.min().double_value(&[]), within.max().double_value(&[]));
    // u + U is rounded to f32 below 256, so a value may reach the next level's edge but never pass it.
    assert!(low >= 0.0 && high <= 1.0, "{low} {high}");
    assert!(low < 1e-3 && high > 1.0 - 1e-3);
    let mean = within.mean(Kind::Double).double_value(&[]);
    // A million uniform numbers: the mean's deviation is sqrt(1/12 / 2^20) = 2.8e-4.
    assert!((mean - 0.5).abs() < 5.0 * 2.9e-4, "{mean}");
    let again = data::augment(&x, &changes, &mut Stream::new(1, "test"));
    assert_eq!(y, again, "decided by the stream");
}

#[test]
fn without_changes_nothing_is_drawn() {
    let x = batch(2, 1, 3, 3);
    let mut rng = Stream::new(1, "test");
    assert_eq!(data::augment(&x, &Augment::default(), &mut rng), data::to_unit(&x));
    let still = data::add_noise(&data::to_unit(&x), 0.0, &mut rng);
    assert_eq!(still, data::to_unit(&x));
    assert_eq!(rng.counter(), 0);
}

#[test]
fn noise_has_its_deviation_and_leaves_its_input_alone() {
    let _turn = drawing();
    let x = Tensor::zeros([100, 1, 100, 100], (Kind::Float, CPU)) + 0.25;
    let y = data::add_noise(&x, 0.1, &mut Stream::new(4, "test"));
    let std = (&y - 0.25).square().mean(Kind::Double).double_value(&[]).sqrt();
    // A million normals: the relative deviation of the estimate is 1 / sqrt(2e6) = 7e-4.
    assert!((std / 0.1 - 1.0).abs() < 5.0 * 7.1e-4, "{std}");
    assert_eq!(x.min().double_value(&[]), 0.25);
    assert_eq!(x.max().double_value(&[]), 0.25);
}
