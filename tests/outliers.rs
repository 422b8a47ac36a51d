//! The sets that are out of distribution: shape, range, seeds, and that each is what it claims to be.

use std::path::Path;

use ebm::data::{self, Images, ScoreInput, Wanted, to_u8, to_unit};
use ebm::data::{Dataset, FitRule};
use ebm::eval::OodSet;
use ebm::eval::outliers::*;
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn rng() -> Stream {
    Stream::new(3, "ood")
}

/// Random levels.
fn images(size: [i64; 4]) -> Images {
    let levels = Stream::new(5, "images").integers(256, size.iter().product(), CPU);
    Images::unlabelled(levels.to_kind(Kind::Uint8).view(size))
}

fn source(inside: &Images) -> OutlierSource<'_> {
    OutlierSource {
        inside,
        other: wanted(inside.shape().try_into().unwrap(), None),
    }
}

fn wanted(input: [i64; 3], limit: Option<usize>) -> Wanted<'static> {
    Wanted {
        root: Path::new("no-such-folder"),
        input,
        fit: FitRule::Crop,
        device: CPU,
        limit,
        seed: 0,
    }
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn mean(t: &Tensor) -> f64 {
    t.mean(Kind::Double).double_value(&[])
}

#[test]
fn every_set_has_the_shape_and_range_of_images_and_repeats() {
    for size in [[9, 1, 12, 12], [9, 3, 8, 8], [2, 3, 16, 10], [1, 1, 4, 4]] {
        let inside = images(size);
        for set in generated_sets([size[1], size[2], size[3]]) {
            if size[0] == 1 && set == OodSet::Interpolated {
                assert!(source(&inside).images(&set, &rng()).is_err());
                continue;
            }
            let drawn = source(&inside).images(&set, &rng()).unwrap();
            assert_eq!(drawn.size(), size, "{set:?}");
            let unit = if drawn.kind() == Kind::Uint8 {
                to_unit(&drawn)
            } else {
                drawn.copy()
            };
            assert!(unit.kind() == Kind::Float && largest(&unit) <= 1.0, "{set:?}");
            assert_eq!(drawn, source(&inside).images(&set, &rng()).unwrap(), "{set:?}");
            let other = source(&inside).images(&set, &Stream::new(4, "ood")).unwrap();
            let random = !matches!(
                set,
                OodSet::Rotated | OodSet::Flipped | OodSet::Inverted | OodSet::Blurred
            );
            let is_random = size[0] > 2 && random;
            assert!(!is_random || drawn != other, "{set:?} does not depend on the seed");
            assert!(random || drawn == other, "{set:?} depends on the seed");
            assert!(
                drawn.size() != inside.pixels.size() || to_u8(&unit) != inside.pixels,
                "{set:?} changes nothing"
            );
        }
    }
    assert!(!generated_sets([1, 4, 6]).contains(&OodSet::Rotated));
    assert_eq!(generated_sets([1, 4, 4]).len(), 9);
}

#[test]
fn uniform_noise_is_what_it_was_before_there_were_other_sets() {
    let inside = images([50, 3, 16, 16]);
    let noise = source(&inside).images(&OodSet::Uniform, &rng()).unwrap();
    assert_eq!(noise, rng().uniform(&[50, 3, 16, 16], -1.0, 1.0, CPU));
    assert!(noise.min().double_value(&[]) >= -1.0 && noise.max().double_value(&[]) < 1.0);
    // 38,400 pixels: mean 0 and variance 1/3; the variance of a square is 1/5 - 1/9. Five standard errors.
    let n = noise.numel() as f64;
    assert!(mean(&noise).abs() < 5.0 * (1.0 / 3.0 / n).sqrt());
    let second = mean(&noise.square());
    assert!(
        (second - 1.0 / 3.0).abs() < 5.0 * ((0.2 - 1.0 / 9.0) / n).sqrt(),
        "{second}"
    );
}

#[test]
fn gaussian_noise_is_clamped() {
    let noise = gaussian_noise([50, 3, 16, 16], CPU, &mut rng());
    let n = noise.numel() as f64;
    // P(|z| >= 1) = 0.3173 lies at the ends, half at each; P(|z| < 1/2) = 0.3829. Five standard errors.
    for (found, share) in [
        (mean(&noise.abs().ge(1.0)), 0.3173),
        (mean(&noise.ge(1.0)), 0.158_65),
        (mean(&noise.abs().lt(0.5)), 0.3829),
    ] {
        assert!(
            (found - share).abs() < 5.0 * (share * (1.0 - share) / n).sqrt() + 5e-5,
            "{found} is not {share}"
        );
    }
}

#[test]
fn constant_images_have_one_colour_each() {
    let drawn = constant_images([2000, 3, 4, 5], CPU, &mut rng());
    let first = drawn.narrow(2, 0, 1).narrow(3, 0, 1);
    assert_eq!(drawn, first.expand([2000, 3, 4, 5], false).contiguous());
    let levels = first.reshape([-1]);
    // 6000 levels of 256: mean 127.5, variance (256^2 - 1) / 12.
    assert!((mean(&levels.to_kind(Kind::Double)) - 127.5).abs() < 5.0 * (5461.25f64 / 6000.0).sqrt());
    let (least, most) = (levels.min().int64_value(&[]), levels.max().int64_value(&[]));
    assert_eq!((least, most), (0, 255));
}

#[test]
fn interpolated_images_are_means_of_two_others() {
    // Powers of two: a sum of two tells which two.
    let levels: Vec<u8> = (0..8).map(|i| 1 << i).collect();
    let given = Tensor::from_slice(&levels)
        .view([8, 1, 1, 1])
        .expand([8, 1, 2, 2], false);
    let drawn = interpolated(&given, &mut rng()).unwrap();
    // (u/127.5 - 1 + v/127.5 - 1) / 2 = (u + v) / 255 - 1.
    let sums = ((drawn.narrow(2, 0, 1).narrow(3, 0, 1).reshape([-1]) + 1.0) * 255.0).round();
    let mut used = [0; 8];
    for sum in Vec::<f32>::try_from(sums).unwrap() {
        let sum = sum as u32;
        assert_eq!(sum.count_ones(), 2, "two different images");
        (0..8).filter(|i| sum & (1 << i) != 0).for_each(|i| used[i] += 1);
    }
    assert_eq!(used, [2; 8], "each image in two pairs");
    assert!(interpolated(&given.narrow(0, 0, 1), &mut rng()).is_none());
}

#[test]
fn turned_mirrored_and_inverted_images() {
    let image = Tensor::from_slice(&[1u8, 2, 3, 4]).view([1, 1, 2, 2]);
    let rows = |t: &Tensor| Vec::<u8>::try_from(t.reshape([-1])).unwrap();
    // Against the clock, the right column becomes the upper row.
    assert_eq!(rows(&rotated(&image).unwrap()), [2, 4, 1, 3]);
    let mut turned = images([3, 3, 6, 6]).pixels;
    let start = turned.copy();
    for _ in 0..4 {
        turned = rotated(&turned).unwrap();
    }
    assert_eq!(turned, start);
    assert!(rotated(&images([3, 1, 4, 6]).pixels).is_none());
    let image = Tensor::from_slice(&[1u8, 2, 3, 4, 5, 6]).view([1, 1, 3, 2]);
    assert_eq!(rows(&flipped(&image)), [5, 6, 3, 4, 1, 2]);
    assert_eq!(rows(&inverted(&image)), [254, 253, 252, 251, 250, 249]);
    assert!(largest(&(to_unit(&inverted(&start)) + to_unit(&start))) < 2.0 * f64::from(f32::EPSILON));
}

#[test]
fn a_blurred_point_is_a_gaussian() {
    // A sixteenth of 64 is 4 pixels, and twelve of them lie within the image on either side.
    let image = Tensor::zeros([1, 1, 64, 80], (Kind::Uint8, CPU));
    let _ = image.narrow(2, 30, 1).narrow(3, 40, 1).fill_(255);
    let blurred = blurred(&image);
    let weight = |d: i64| {
        if d.abs() <= 12 {
            (-(d * d) as f64 / 32.0).exp()
        } else {
            0.0
        }
    };
    let total: f64 = (-12..=12).map(weight).sum();
    for (y, x) in [
        (30, 40),
        (31, 40),
        (30, 38),
        (34, 45),
        (26, 36),
        (30, 52),
        (30, 53),
        (0, 0),
    ] {
        let exact = 255.0 * weight(y - 30) * weight(x - 40) / total / total;
        let found = blurred.int64_value(&[0, 0, y, x]) as f64;
        assert!((found - exact).abs() < 0.501, "({y}, {x}): {found} is not {exact}");
    }
}

#[test]
fn blurring_keeps_a_colour_and_mixes_no_channels_or_images() {
    let flat = constant_images([5, 3, 12, 9], CPU, &mut rng());
    assert_eq!(blurred(&flat), flat);
    let noise = images([4, 3, 32, 32]).pixels;
    let soft = blurred(&noise);
    let alone = blurred(&noise.narrow(0, 2, 1).narrow(1, 1, 1));
    assert_eq!(soft.narrow(0, 2, 1).narrow(1, 1, 1).contiguous(), alone);
    // White noise keeps the sum of squared weights of its variance: about 1 / (4 pi s^2), s = 2 pixels.
    let kept = soft.to_kind(Kind::Double).var(true) / noise.to_kind(Kind::Double).var(true);
    let kept = kept.double_value(&[]);
    let expected = 1.0 / (16.0 * std::f64::consts::PI);
    assert!((0.7..1.6).contains(&(kept / expected)), "{kept} and {expected}");
}

fn distinct(t: &Tensor) -> i64 {
    t.reshape([-1]).internal_unique(true, false).0.numel() as i64
}

#[test]
fn textures_take_turns_and_have_two_colours_apart() {
    let drawn = textures([80, 3, 32, 32], CPU, &mut rng());
    for i in 0..80 {
        for c in 0..3 {
            let plane = drawn.get(i).get(c);
            let (low, high) = (plane.min().int64_value(&[]), plane.max().int64_value(&[]));
            // A quarter of the range apart, but for the ends that a wave's samples may miss, and roundings.
            assert!(high - low >= 55, "image {i}, channel {c}: {low} to {high}");
            match i % 4 {
                1 | 2 => assert_eq!(distinct(&plane), 2, "image {i}: stripes and checkers"),
                _ => assert!(distinct(&plane) > 10, "image {i}: waves and smooth noise"),
            }
        }
    }
    // Checkers: a row is another or its opposite.
    let checker = drawn.get(2).get(0);
    for y in 1..32 {
        let same = checker.get(y).eq_tensor(&checker.get(0));
        let share = mean(&same);
        assert!(share == 0.0 || share == 1.0, "row {y}: {share}");
    }
    // Smooth noise: neighbours are close.
    let smooth = to_unit(&drawn.get(3));
    let steps = smooth.narrow(2, 1, 31) - smooth.narrow(2, 0, 31);
    assert!(largest(&steps) < 0.5 * (largest(&smooth) + 1.0), "{}", largest(&steps));
    assert_eq!(textures([3, 1, 8, 8], CPU, &mut rng()).size(), [3, 1, 8, 8]);
    assert_eq!(textures([0, 1, 8, 8], CPU, &mut rng()).size(), [0, 1, 8, 8]);
}

#[test]
fn another_data_set_is_brought_to_the_shape() {
    let strokes: Dataset = serde_json::from_str(r#"{"strokes": {"count": 60, "size": 8}}"#).unwrap();
    let set = OodSet::Data(strokes.clone());
    let own = data::test_images(&strokes, &wanted([1, 8, 8], None)).unwrap();
    let inside = images([4, 3, 14, 10]);
    let fitted = source(&inside).images(&set, &rng()).unwrap();
    assert_eq!((fitted.size(), fitted.kind()), (vec![12, 3, 14, 10], Kind::Uint8));
    assert_eq!(fitted.narrow(1, 0, 1), fitted.narrow(1, 2, 1), "grey is repeated");
    // The same images from a file, by the rule of pictures.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strokes.npy");
    ebm::report::npy(&own.pixels, &path).unwrap();
    let items = ScoreInput::new(&[path], [3, 14, 10], FitRule::Crop).map(|i| i.image.unwrap());
    assert_eq!(fitted, Tensor::stack(&items.collect::<Vec<_>>(), 0));
    // A grey model: 8 x 8 as it is.
    let grey = images([2, 1, 8, 8]);
    assert_eq!(source(&grey).images(&set, &rng()).unwrap(), own.pixels);
    let few = OutlierSource {
        other: wanted([1, 8, 8], Some(5)),
        ..source(&grey)
    };
    assert_eq!(few.images(&set, &rng()).unwrap().size(), [5, 1, 8, 8]);
    let five = images([2, 5, 8, 8]);
    let error = source(&five).images(&set, &rng()).unwrap_err();
    assert!(
        error.is_input() && error.to_string().contains("strokes") && error.to_string().contains('5'),
        "{error}"
    );
}

#[test]
fn sets_have_words_and_names() {
    for set in generated_sets([1, 4, 4]) {
        let word = set_word(&set);
        assert_eq!(serde_json::from_value::<OodSet>(word.into()).unwrap(), set);
        assert!(!set_name(&set).is_empty());
    }
    let mnist = OodSet::Data(Dataset::Mnist);
    assert_eq!((set_word(&mnist), set_name(&mnist)), ("MNIST".into(), "MNIST".into()));
}
