//! What each loader makes of good files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ebm::data::{self, Digest, cifar};
use ebm::data::{Dataset, FitRule, StrokesConfig};
use ebm::rng::Stream;
use image::{GrayAlphaImage, LumaA};
use tch::{Device, Kind};

use crate::files::*;

const CPU: Device = Device::Cpu;

#[test]
fn idx_stack_keeps_every_byte_and_label() {
    let dir = tempfile::tempdir().unwrap();
    let content = pattern(5 * 3 * 4);
    let images = write(dir.path().join("i"), idx_bytes(&[5, 3, 4], &content));
    let labels = write(dir.path().join("l"), idx_bytes(&[5], &[2, 0, 1, 2, 1]));
    let cfg = with_itself_as_test(idx(&images, Some(&labels)));
    assert_eq!(data::declared_shape(&cfg, [1, 9, 9]).unwrap(), [1, 3, 4]);
    let set = data::open(&cfg, [1, 3, 4], CPU).unwrap();
    assert_eq!(set.train.pixels.size(), [5, 1, 3, 4]);
    assert_eq!(set.train.pixels.kind(), Kind::Uint8);
    assert_eq!(bytes(&set.train.pixels), content);
    assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [2, 0, 1, 2, 1]);
    assert_eq!(set.train.classes, ["0", "1", "2"]);
    assert_eq!(bytes(&set.test.pixels), content);
    assert_eq!(set.validation.len(), 0);
}

#[test]
fn a_stack_larger_than_a_block_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    // 40 MB in rows of 250,000 bytes: two blocks of at most 32 MiB.
    let content = pattern(160 * 500 * 500);
    let images = write(dir.path().join("i"), idx_bytes(&[160, 500, 500], &content));
    let set = data::open(&with_itself_as_test(idx(&images, None)), [1, 500, 500], CPU).unwrap();
    assert!(bytes(&set.train.pixels) == content, "bytes differ");
}

#[test]
fn npy_stack_in_all_three_layouts() {
    let dir = tempfile::tempdir().unwrap();
    let content = pattern(2 * 3 * 4 * 5);
    let open = |name: &str, shape: &[i64], input: [i64; 3]| {
        let path = write(dir.path().join(name), npy_bytes("|u1", shape, &content));
        let cfg = with_itself_as_test(npy(&path, None));
        assert_eq!(data::declared_shape(&cfg, input).unwrap(), input, "{name}");
        data::open(&cfg, input, CPU).unwrap().train.pixels
    };
    let grey = open("nhw", &[6, 4, 5], [1, 4, 5]);
    assert_eq!((grey.size(), bytes(&grey)), (vec![6, 1, 4, 5], content.clone()));
    let first = open("nchw", &[2, 3, 4, 5], [3, 4, 5]);
    assert_eq!((first.size(), bytes(&first)), (vec![2, 3, 4, 5], content.clone()));
    let last = open("nhwc", &[2, 4, 5, 3], [3, 4, 5]);
    let at = |n: usize, c: usize, y: usize, x: usize| content[((n * 4 + y) * 5 + x) * 3 + c];
    for (i, found) in bytes(&last).into_iter().enumerate() {
        let (x, y, c, n) = (i % 5, i / 5 % 4, i / 20 % 3, i / 60);
        assert_eq!(found, at(n, c, y, x));
    }
    // A stack of 3 x 3 x 3 is read as [C,H,W]; channels beyond a picture's are the model's to name.
    let many = open("channels", &[6, 4, 5, 1], [1, 4, 5]);
    assert_eq!(bytes(&many), content);
    let five = open("five", &[6, 2, 2, 5], [5, 2, 2]);
    assert_eq!(five.size(), [6, 5, 2, 2]);
}

#[test]
fn npy_labels_of_every_integer_kind() {
    let dir = tempfile::tempdir().unwrap();
    let images = write(dir.path().join("i"), npy_bytes("|u1", &[3, 2, 2], &pattern(12)));
    for (descr, width) in [
        ("|u1", 1),
        ("|i1", 1),
        ("<u2", 2),
        ("<i2", 2),
        ("<u4", 4),
        ("<i4", 4),
        ("<u8", 8),
        ("<i8", 8),
    ] {
        let content: Vec<u8> = [1i64, 0, 2]
            .iter()
            .flat_map(|l| l.to_le_bytes()[..width].to_vec())
            .collect();
        let labels = write(dir.path().join("l"), npy_bytes(descr, &[3], &content));
        let set = data::open(&with_itself_as_test(npy(&images, Some(&labels))), [1, 2, 2], CPU).unwrap();
        assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [1, 0, 2], "{descr}");
    }
}

#[test]
fn cifar_10_rows_are_a_label_and_three_planes() {
    let dir = tempfile::tempdir().unwrap();
    let row = |label: u8, start: usize| {
        let mut bytes = vec![label];
        bytes.extend(&pattern(start + 3072)[start..]);
        bytes
    };
    let first = write(dir.path().join("1.bin"), [row(3, 0), row(1, 5)].concat());
    let second = write(dir.path().join("2.bin"), row(0, 9));
    let set = cifar::read(&[first, second], cifar::Format::Cifar10, &["a", "b", "c", "d"], CPU).unwrap();
    assert_eq!(set.pixels.size(), [3, 3, 32, 32]);
    assert_eq!(numbers(set.labels.as_ref().unwrap()), [3, 1, 0]);
    let expected = [&row(3, 0)[1..], &row(1, 5)[1..], &row(0, 9)[1..]].concat();
    assert!(bytes(&set.pixels) == expected, "pixels differ");
}

#[test]
fn cifar_100_takes_the_fine_label() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        [&[19, 99][..], &pattern(3072)].concat(),
        [&[4, 11][..], &pattern(3072)].concat(),
    ]
    .concat();
    write(dir.path().join("cifar100/train.bin"), &rows);
    write(dir.path().join("cifar100/test.bin"), &rows[3074..]);
    let mut cfg = config(Dataset::Cifar100);
    cfg.root = dir.path().into();
    assert_eq!(data::declared_shape(&cfg, [1, 1, 1]).unwrap(), [3, 32, 32]);
    let set = data::open(&cfg, [3, 32, 32], CPU).unwrap();
    assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [99, 11]);
    assert_eq!(set.train.classes[99], "worm");
    assert_eq!(set.train.classes[11], "boy");
    assert_eq!((set.train.len(), set.test.len()), (2, 1));
    assert!(bytes(&set.test.pixels) == pattern(3072), "pixels differ");
}

#[test]
fn folder_is_sorted_and_labelled_by_sub_folder() {
    let dir = tempfile::tempdir().unwrap();
    for (name, grey) in [
        ("dog/b.png", 3),
        ("cat/z.png", 2),
        ("cat/a/x.bmp", 1),
        ("dog/c.webp", 4),
    ] {
        save(&picture(4, 4, |_, _| [grey; 3]), dir.path().join(name));
    }
    write(dir.path().join("notes.txt"), "not a picture");
    write(dir.path().join(".hidden/a.png"), "not to be read");
    let set = data::open(&with_itself_as_test(folder(dir.path(), FitRule::Exact)), [1, 4, 4], CPU).unwrap();
    assert_eq!(set.train.classes, ["cat", "dog"]);
    assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [0, 0, 1, 1]);
    let first_pixels: Vec<u8> = bytes(&set.train.pixels).into_iter().step_by(16).collect();
    assert_eq!(first_pixels, [1, 2, 3, 4]);
    let Digest::Listing { files, .. } = set.record.sources[0].digest else {
        panic!("a folder is listed")
    };
    assert_eq!(files, 4);
}

#[test]
fn a_picture_beside_the_sub_folders_means_no_labels() {
    let dir = tempfile::tempdir().unwrap();
    save(&picture(4, 4, |_, _| [1; 3]), dir.path().join("a.png"));
    save(&picture(4, 4, |_, _| [2; 3]), dir.path().join("cat/b.png"));
    let set = data::open(&folder(dir.path(), FitRule::Exact), [1, 4, 4], CPU).unwrap();
    assert!(set.train.labels.is_none());
    assert_eq!((set.train.len(), set.test.len()), (1, 1));
}

#[cfg(unix)]
#[test]
fn a_link_back_to_a_folder_above_ends() {
    let dir = tempfile::tempdir().unwrap();
    save(&picture(4, 4, |_, _| [1; 3]), dir.path().join("a/b.png"));
    std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
    let set = data::open(&with_itself_as_test(folder(dir.path(), FitRule::Exact)), [1, 4, 4], CPU).unwrap();
    assert_eq!(set.train.len(), 1);
}

#[test]
fn a_limit_on_a_folder_reaches_every_class() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..40 {
        save(
            &picture(2, 2, |_, _| [i; 3]),
            dir.path().join(format!("{}/{i:02}.png", i / 10)),
        );
    }
    let mut cfg = with_itself_as_test(folder(dir.path(), FitRule::Exact));
    cfg.limit = Some(8);
    let set = data::open(&cfg, [1, 2, 2], CPU).unwrap();
    assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [0, 0, 1, 1, 2, 2, 3, 3]);
    assert_eq!(set.test.len(), 40);
}

#[test]
fn colour_to_grey_is_rec_601_and_back_is_repetition() {
    let dir = tempfile::tempdir().unwrap();
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 100, 50]];
    save(
        &picture(2, 2, |x, y| colours[(2 * y + x) as usize]),
        dir.path().join("a.png"),
    );
    let load = |input| {
        data::open(&with_itself_as_test(folder(dir.path(), FitRule::Exact)), input, CPU)
            .unwrap()
            .train
    };
    // 0.299 R + 0.587 G + 0.114 B: 76.2, 149.7, 29.1, 124.2
    assert_eq!(bytes(&load([1, 2, 2]).pixels), [76, 150, 29, 124]);
    assert_eq!(
        bytes(&load([3, 2, 2]).pixels),
        [255, 0, 0, 200, 0, 255, 0, 100, 0, 0, 255, 50]
    );
    let converted = data::convert_channels(&load([3, 2, 2]).pixels, 1).unwrap();
    assert_eq!(
        bytes(&converted),
        [76, 150, 29, 124],
        "tensors and pictures round alike"
    );
    let repeated = data::convert_channels(&converted, 3).unwrap();
    assert_eq!(bytes(&repeated), [76, 150, 29, 124].repeat(3));
    assert!(data::convert_channels(&converted, 2).is_none());
}

#[test]
fn transparency_lies_over_white() {
    let dir = tempfile::tempdir().unwrap();
    let image = GrayAlphaImage::from_fn(3, 1, |x, _| LumaA([40, [0, 255, 51][x as usize]]));
    image.save(dir.path().join("a.png")).unwrap();
    let set = data::open(&with_itself_as_test(folder(dir.path(), FitRule::Exact)), [1, 1, 3], CPU).unwrap();
    // 51/255 = 0.2: 0.2 * 40 + 0.8 * 255 = 212
    assert_eq!(bytes(&set.train.pixels), [255, 40, 212]);
}

#[test]
fn fit_rules_on_a_wide_picture() {
    let dir = tempfile::tempdir().unwrap();
    // 12 x 4: a dark left, a middle of 4 x 4 with a bright lower half, a dark right.
    let wide = picture(12, 4, |x, y| {
        if (4..8).contains(&x) {
            [if y < 2 { 100 } else { 200 }; 3]
        } else {
            [0; 3]
        }
    });
    save(&wide, dir.path().join("a.png"));
    let load = |fit, input| {
        let set = data::open(&with_itself_as_test(folder(dir.path(), fit)), input, CPU).unwrap();
        bytes(&set.train.pixels)
    };
    let halves = [[100u8; 8], [200; 8]].concat();
    assert_eq!(load(FitRule::Crop, [1, 4, 4]), halves, "the middle, unscaled");
    assert_eq!(load(FitRule::Exact, [1, 4, 12]).len(), 48);
    let padded = load(FitRule::Pad, [1, 12, 12]);
    assert!(
        padded[..48].iter().chain(&padded[96..]).all(|v| *v == 0),
        "a black border above and below"
    );
    assert_eq!(padded[48 + 4..48 + 8], [100; 4]);
    assert_eq!(padded[72 + 4..72 + 8], [200; 4]);
    let stretched = load(FitRule::Stretch, [1, 4, 4]);
    // A kernel three pixels wide: the inner columns are bright, the outer ones dark, and the mean of a row is kept.
    for (row, level) in stretched.chunks(4).zip([100.0, 100.0, 200.0, 200.0]) {
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / 4.0;
        assert!((mean - level / 3.0).abs() < 2.0, "{row:?}");
        assert!(row[1] > row[0] + 20 && row[2] > row[3] + 20, "{row:?}");
    }
}

#[test]
fn shrinking_averages_rather_than_skips() {
    let dir = tempfile::tempdir().unwrap();
    save(
        &picture(64, 64, |x, y| [((x + y) % 2 * 255) as u8; 3]),
        dir.path().join("a.png"),
    );
    let set = data::open(&with_itself_as_test(folder(dir.path(), FitRule::Crop)), [1, 8, 8], CPU).unwrap();
    // A chequerboard of 0 and 255 averages to 127.5 everywhere; a pixel picked from it would be 0 or 255.
    assert!(bytes(&set.train.pixels).iter().all(|v| v.abs_diff(127) <= 3));
}

#[test]
fn many_pictures_over_several_threads_stay_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..101u8 {
        save(&picture(3, 3, |_, _| [i; 3]), dir.path().join(format!("{i:03}.png")));
    }
    let set = data::open(&with_itself_as_test(folder(dir.path(), FitRule::Exact)), [1, 3, 3], CPU).unwrap();
    let firsts: Vec<u8> = bytes(&set.train.pixels).into_iter().step_by(9).collect();
    assert_eq!(firsts, (0..101).collect::<Vec<u8>>());
}

fn strokes(seed: u64) -> StrokesConfig {
    StrokesConfig {
        count: 200,
        size: 16,
        seed,
    }
}

#[test]
fn strokes_are_decided_by_their_seed() {
    let open = |seed| data::open(&config(Dataset::Strokes(strokes(seed))), [1, 16, 16], CPU).unwrap();
    let (a, b, c) = (open(1), open(1), open(2));
    assert_eq!((a.train.len(), a.test.len()), (200, 40));
    assert_eq!(bytes(&a.train.pixels), bytes(&b.train.pixels));
    assert_ne!(bytes(&a.train.pixels), bytes(&c.train.pixels));
    assert_ne!(bytes(&a.train.pixels)[..40 * 256], bytes(&a.test.pixels)[..]);
    assert_eq!(a.train.classes, ["stroke", "disc"]);
    let labels = numbers(a.train.labels.as_ref().unwrap());
    assert_eq!(labels.iter().sum::<i64>(), 100);
}

#[test]
fn strokes_are_thin_discs_are_round_and_edges_are_soft() {
    let set = data::open(&config(Dataset::Strokes(strokes(3))), [1, 16, 16], CPU)
        .unwrap()
        .train;
    let levels = bytes(&set.pixels);
    for (image, label) in levels.chunks(256).zip(numbers(set.labels.as_ref().unwrap())) {
        let light: f64 = image.iter().map(|v| f64::from(*v)).sum();
        let moment = |f: &dyn Fn(f64, f64) -> f64| {
            let at = |(i, v): (usize, &u8)| f64::from(*v) * f((i % 16) as f64, (i / 16) as f64);
            image.iter().enumerate().map(at).sum::<f64>() / light
        };
        let (mx, my) = (moment(&|x, _| x), moment(&|_, y| y));
        let xx = moment(&|x, _| (x - mx).powi(2));
        let yy = moment(&|_, y| (y - my).powi(2));
        let xy = moment(&|x, y| (x - mx) * (y - my));
        let spread = ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt();
        let ratio = (xx + yy + spread) / (xx + yy - spread);
        // A disc is as long as it is wide; the shortest, thickest stroke is 0.46 by 0.16 of the side.
        assert_eq!(ratio > 2.0, label == 0, "ratio of squared axes {ratio}");
        assert!(image.iter().any(|v| (1..200).contains(v)), "an edge between two levels");
        assert!(image[0] == 0 && image[255] == 0, "corners stay black");
    }
}

#[test]
fn ood_images_are_converted_and_fitted() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path().join("i.npy"), npy_bytes("|u1", &[4, 3, 2, 2], &pattern(48)));
    let Dataset::Npy(stack) = npy(&path, None).dataset else {
        unreachable!()
    };
    let set = Dataset::Npy(stack);
    let images = data::test_images(&set, &wanted(Path::new(""), [1, 2, 2], None)).unwrap();
    assert_eq!(images.pixels.size(), [4, 1, 2, 2]);
    let p = pattern(48).into_iter().map(f64::from).collect::<Vec<_>>();
    let grey = 0.299 * p[0] + 0.587 * p[4] + 0.114 * p[8];
    assert_eq!(f64::from(bytes(&images.pixels)[0]), grey.round());
    let larger = data::test_images(&set, &wanted(Path::new(""), [1, 4, 4], None)).unwrap();
    assert_eq!(larger.shape(), [1, 4, 4]);
    // The corner of an enlarged image is the corner of the image: linear interpolation has nothing beyond it.
    assert_eq!(bytes(&larger.pixels)[0], bytes(&images.pixels)[0]);
    let wrong = data::test_images(&set, &wanted(Path::new(""), [2, 4, 4], None)).unwrap_err();
    assert!(wrong.is_input() && wrong.to_string().contains("[3, 2, 2]"), "{wrong}");
    let strokes = data::test_images(&Dataset::Strokes(strokes(0)), &wanted(Path::new(""), [3, 16, 16], None)).unwrap();
    assert_eq!(strokes.shape(), [3, 16, 16]);
    let pictures = tempfile::tempdir().unwrap();
    save(&picture(30, 20, |_, _| [9; 3]), pictures.path().join("a.png"));
    let fitted = data::test_images(
        &folder(pictures.path(), FitRule::Crop).dataset,
        &wanted(Path::new(""), [1, 8, 8], None),
    );
    assert_eq!(bytes(&fitted.unwrap().pixels), [9; 64]);
}

#[test]
fn sets_have_names_for_tables() {
    let names = [
        data::name(&Dataset::FashionMnist),
        data::name(&Dataset::Strokes(strokes(0))),
        data::name(&folder(Path::new("a/cats/"), FitRule::Crop).dataset),
        data::name(&idx(Path::new("b/digits"), None).dataset),
    ];
    assert_eq!(names, ["Fashion-MNIST", "strokes", "cats", "digits"]);
}

#[test]
fn images_are_taken_by_index_in_chunks_and_at_random() {
    let _turn = drawing();
    let set = data::open(&config(Dataset::Strokes(strokes(5))), [1, 16, 16], CPU)
        .unwrap()
        .train;
    let at = tch::Tensor::from_slice(&[7i64, 3]);
    let two = set.select(&at);
    assert_eq!(numbers(two.labels.as_ref().unwrap()), [1, 1]);
    assert_eq!(bytes(&two.pixels)[..256], bytes(&set.pixels)[7 * 256..8 * 256]);
    assert_eq!(set.normalized(&at), data::to_unit(&two.pixels));
    assert_eq!(set.chunk(190, 64).size(), [10, 1, 16, 16]);
    assert_eq!(set.chunk(200, 64).size(), [0, 1, 16, 16]);
    let mut rng = Stream::new(1, "test");
    let drawn = set.random(500, &mut rng);
    assert_eq!(drawn.size(), [500, 1, 16, 16]);
    let all: BTreeSet<Vec<u8>> = bytes(&set.pixels).chunks(256).map(<[u8]>::to_vec).collect();
    let found: BTreeSet<Vec<u8>> = bytes(&data::to_u8(&drawn)).chunks(256).map(<[u8]>::to_vec).collect();
    assert!(found.is_subset(&all));
    // 500 draws with replacement from 200 miss 200 e^-2.5 = 16 on average, with a deviation below 4.
    assert!(found.len() > 200 - 16 - 5 * 4, "{} of 200", found.len());
}

#[test]
fn the_real_mnist_where_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    if !root.join("mnist").is_dir() {
        eprintln!("note: data/mnist is not there, so the test on the real MNIST was passed over");
        return;
    }
    let mut cfg = config(Dataset::Mnist);
    cfg.root = root;
    cfg.validation = 2000;
    let set = data::open(&cfg, [1, 28, 28], CPU).unwrap();
    assert_eq!(
        (set.train.len(), set.validation.len(), set.test.len()),
        (58_000, 2_000, 10_000)
    );
    let all = |f: fn(&data::Images) -> f64| f(&set.train) + f(&set.validation);
    // The mean level of the 60,000 training images is 0.1307 of 255, as every tutorial's normalisation has it.
    let sum = all(|i| i.pixels.sum(Kind::Double).double_value(&[]));
    assert!((sum / (60_000.0 * 784.0 * 255.0) - 0.1307).abs() < 5e-5);
    let fives = all(|i| i.labels.as_ref().unwrap().eq(5).sum(Kind::Double).double_value(&[]));
    assert_eq!(fives, 5421.0, "the least frequent digit");
    assert_eq!(numbers(set.test.labels.as_ref().unwrap())[..5], [7, 2, 1, 0, 4]);
    assert!(fs::metadata(&set.record.sources[0].path).is_ok());
}
