//! SVHN's .mat files as scipy writes them, and what is wrong with damaged ones.

use std::fs;
use std::path::{Path, PathBuf};

use ebm::Error;
use ebm::data::{self, Images};
use ebm::data::{DataConfig, Dataset};
use tch::{Device, Tensor};

use crate::files::*;

const CPU: Device = Device::Cpu;
const SHAPE: [i64; 3] = [3, 32, 32];
const TRAIN: &[u8] = include_bytes!("../golden/svhn/train_32x32.mat");
const TEST: &[u8] = include_bytes!("../golden/svhn/test_32x32.mat");

fn within(root: &Path) -> DataConfig {
    let mut cfg = config(Dataset::Svhn);
    cfg.root = root.into();
    cfg
}

/// A root with these two files as SVHN's.
fn root(train: &[u8], test: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("svhn/train_32x32.mat"), train);
    write(dir.path().join("svhn/test_32x32.mat"), test);
    let path = dir.path().to_owned();
    (dir, path)
}

/// What tests/golden/svhn.py writes.
fn assert_pixels(images: &Images) {
    let n = images.len();
    assert_eq!(images.pixels.size(), [n, 3, 32, 32]);
    for (i, level) in bytes(&images.pixels).into_iter().enumerate() {
        let (column, row, channel, image) = (i % 32, i / 32 % 32, i / 1024 % 3, i / 3072);
        assert_eq!(
            usize::from(level),
            (7 * row + 3 * column + 50 * channel + 11 * image) % 256,
            "pixel {i}"
        );
    }
}

#[test]
fn compressed_and_plain_files_give_every_pixel_and_digit() {
    let (_dir, root) = root(TRAIN, TEST);
    let set = data::open(&within(&root), SHAPE, CPU).unwrap();
    assert_pixels(&set.train);
    assert_pixels(&set.test);
    assert_eq!(numbers(set.train.labels.as_ref().unwrap()), [0, 1, 9]);
    assert_eq!(numbers(set.test.labels.as_ref().unwrap()), [0, 2]);
    assert_eq!(set.train.classes.len(), 10);
    assert_eq!(set.record.sources.len(), 2);
    let grey = data::test_images(&Dataset::Svhn, &wanted(&root, [1, 28, 28], Some(1))).unwrap();
    assert_eq!(grey.pixels.size(), [1, 1, 28, 28]);
    assert_eq!(data::name(&Dataset::Svhn), "SVHN");
}

/// Opening must fail and name the test file, each of `mentions`, and a remedy.
fn refused(test: &[u8], mentions: &[&str]) {
    let (_dir, root) = root(TRAIN, test);
    let error = data::open(&within(&root), SHAPE, CPU).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Input { .. }), "{text}");
    for mention in [&["test_32x32.mat"], mentions].concat() {
        assert!(text.contains(mention), "`{mention}` is not in {text}");
    }
}

#[test]
fn files_that_were_cut_anywhere_are_refused() {
    for whole in [TRAIN, TEST] {
        for share in 0..40 {
            let cut = whole.len() * share / 40;
            let (_dir, root) = root(TRAIN, &whole[..cut]);
            let error = data::open(&within(&root), SHAPE, CPU).unwrap_err();
            assert!(matches!(error, Error::Input { .. }), "{cut} bytes: {error}");
        }
        refused(&whole[..whole.len() - 9], &["truncated"]);
    }
    refused(&TEST[..200], &["truncated"]);
    refused(b"", &["not a MATLAB file"]);
}

#[test]
fn a_broken_compression_is_refused() {
    // The element of X begins behind the header of 128 bytes; its own tag has 8.
    let length = u32::from_le_bytes(TRAIN[132..136].try_into().unwrap()) as usize;
    let mut checksum = TRAIN.to_vec();
    checksum[136 + length - 1] ^= 1;
    refused(&checksum, &["damaged"]);
    let mut middle = TRAIN.to_vec();
    middle[136 + length / 2..136 + length / 2 + 8].fill(0xff);
    let (_dir, root) = root(TRAIN, &middle);
    let error = data::open(&within(&root), SHAPE, CPU).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
}

/// The plain file with `from` replaced by `to`, once.
fn changed(from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = TEST
        .windows(from.len())
        .position(|w| w == from)
        .expect("bytes of the file");
    [&TEST[..at], to, &TEST[at + from.len()..]].concat()
}

#[test]
fn files_of_another_form_say_what_was_expected() {
    refused(&changed(b"MATLAB 5.0", b"MATLAB 7.3"), &["7.3", "save -v7"]);
    refused(&changed(b"\x00\x01IM", b"\x01\x00MI"), &["big-endian"]);
    refused(&changed(b"\x00\x01IM", b"\x00\x01XX"), &["byte order"]);
    // The names stand inside their tags: type 1, length 1.
    refused(&changed(b"\x01\x00\x01\x00X", b"\x01\x00\x01\x00Z"), &["`X`"]);
    refused(&changed(b"\x01\x00\x01\x00y", b"\x01\x00\x01\x00z"), &["`y`"]);
    let sizes = |w: u32, c: u32, n: u32| [32, w, c, n].map(u32::to_le_bytes).concat();
    refused(
        &changed(&sizes(32, 3, 2), &sizes(32, 2, 3)),
        &["[32,32,3,N]", "32, 32, 2, 3"],
    );
    refused(&changed(&sizes(32, 3, 2), &sizes(32, 3, 4)), &["damaged", "`X`"]);
    refused(
        &changed(&sizes(32, 3, 2), &sizes(u32::MAX, u32::MAX, u32::MAX)),
        &["damaged"],
    );
    refused(&[TRAIN, &[0; 5]].concat(), &["truncated"]);
    let labels = |a: u8, b: u8| [2, 0, 2, 0, a, b, 0, 0];
    refused(&changed(&labels(10, 2), &labels(11, 2)), &["label 11", "1 to 10"]);
    refused(&changed(&labels(10, 2), &labels(0, 2)), &["label 0", "1 to 10"]);
    refused(b"not a matlab file at all", &["not a MATLAB file"]);
}

#[test]
fn missing_files_say_where_they_belong() {
    let dir = tempfile::tempdir().unwrap();
    let error = data::open(&within(dir.path()), SHAPE, CPU).unwrap_err().to_string();
    for mention in ["svhn/train_32x32.mat", "no such file", "cropped digits"] {
        assert!(error.contains(mention), "{error}");
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_single_image_has_lost_its_last_size() {
    // What MATLAB writes for N = 1: sizes [32,32,3], one label.
    let element = |kind: u32, body: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let array = |name: &[u8], sizes: &[u32], number: (u32, u32), body: &[u8]| {
        let sizes = sizes.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>();
        let flags = [number.0.to_le_bytes(), [0; 4]].concat();
        element(
            14,
            &[
                element(6, &flags),
                element(5, &sizes),
                element(1, name),
                element(number.1, body),
            ]
            .concat(),
        )
    };
    let pixels: Vec<u8> = (0..3072).map(|i| (i % 251) as u8).collect();
    let parts = [
        TEST[..128].to_vec(),
        // A text comes before; it is passed over. Labels are doubles here.
        array(b"note", &[1, 2], (4, 4), &[104, 0, 105, 0]),
        array(b"y", &[1, 1], (6, 9), &10f64.to_le_bytes()),
        array(b"X", &[32, 32, 3], (9, 2), &pixels),
    ];
    let (_dir, root) = root(TRAIN, &parts.concat());
    let set = data::open(&within(&root), SHAPE, CPU).unwrap();
    assert_eq!(numbers(set.test.labels.as_ref().unwrap()), [0]);
    // Columns first: what lies at [row, column] is number 32 column + row.
    let expected = Tensor::from_slice(&pixels)
        .view([1, 3, 32, 32])
        .transpose(2, 3)
        .contiguous();
    assert_eq!(set.test.pixels, expected);
}
