//! Bad input: every error names the file, what was expected and found, and a remedy.

use std::fs;
use std::path::Path;

use ebm::data::{self, cifar};
use ebm::data::{DataConfig, Dataset, FitRule};
use tch::Device;

use crate::files::*;

const CPU: Device = Device::Cpu;

/// Opens what must be refused and looks for all of `parts` in the message.
fn refused(cfg: &DataConfig, input: [i64; 3], parts: &[&str]) {
    let e = data::open(cfg, input, CPU).expect_err("bad input was accepted");
    assert_words(&e, parts);
}

fn assert_words(e: &ebm::Error, parts: &[&str]) {
    assert!(e.is_input(), "{e}");
    let text = e.to_string();
    assert!(text.contains("\n  remedy: "), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn idx_truncated_too_long_compressed_or_of_the_wrong_magic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("images");
    let whole = idx_bytes(&[3, 2, 2], &pattern(12));
    let with = |bytes: &[u8], parts: &[&str]| {
        write(path.clone(), bytes);
        refused(&idx(&path, None), [1, 2, 2], &[&[name(&path)], parts].concat());
        let e = data::declared_shape(&idx(&path, None), [1, 2, 2]).expect_err("the header tells");
        assert_words(&e, parts);
    };
    with(&whole[..27], &["truncated", "28 bytes", "found 27"]);
    with(&whole[..9], &["truncated", "16 bytes", "found 9"]);
    with(&[whole.clone(), vec![0]].concat(), &["too long", "found 29"]);
    with(
        &idx_bytes(&[12], &pattern(12)),
        &["wrong magic", "expected 00 00 08 03", "found 00 00 08 01"],
    );
    with(b"hello world, this is text", &["wrong magic", "68 65 6c 6c"]);
    with(&[0x1f, 0x8b, 8, 0, 0, 0], &["gzip", "gunzip"]);
    with(&idx_bytes(&[0, 2, 2], &[]), &["no image"]);
    with(&[], &["truncated"]);
}

#[test]
fn a_size_that_overflows_is_a_truncated_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path().join("i"),
        idx_bytes(&[u32::MAX, u32::MAX >> 1, u32::MAX >> 1], &[1, 2, 3]),
    );
    refused(&idx(&path, None), [1, 2, 2], &["truncated"]);
    // 2^31 times 2^31 times 4 is 0 in 64 bits: the file would seem to be of the right length.
    let most = i64::from(u32::MAX) + 1;
    let path = write(
        dir.path().join("i.npy"),
        npy_bytes("|u1", &[1, most / 2, most / 2, 4], &[]),
    );
    refused(&npy(&path, None), [1, 2, 2], &["truncated"]);
}

#[test]
fn a_stack_that_memory_does_not_hold_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    // A file with a hole of 4 TiB, as long as its header says.
    let header = npy_bytes("|u1", &[1 << 20, 2048, 2048], &[]);
    let path = write(dir.path().join("i.npy"), &header);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(header.len() as u64 + (4 << 40)).unwrap();
    refused(
        &npy(&path, None),
        [1, 2048, 2048],
        &[name(&path), "4194304 MiB of memory", "are free"],
    );
}

#[test]
fn labels_that_do_not_belong_to_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let images = write(dir.path().join("i"), idx_bytes(&[3, 2, 2], &pattern(12)));
    let labels = write(dir.path().join("l"), idx_bytes(&[2], &[0, 1]));
    refused(
        &idx(&images, Some(&labels)),
        [1, 2, 2],
        &[name(&labels), "2 labels", "3 images"],
    );
    refused(
        &idx(&images, Some(&images)),
        [1, 2, 2],
        &["wrong magic", "expected 00 00 08 01"],
    );
    let short = write(dir.path().join("s"), idx_bytes(&[3], &[0, 1]));
    refused(&idx(&images, Some(&short)), [1, 2, 2], &[name(&short), "truncated"]);
    let stack = write(dir.path().join("i.npy"), npy_bytes("|u1", &[2, 2, 2], &pattern(8)));
    let negative = write(dir.path().join("n.npy"), npy_bytes("|i1", &[2], &[0, 0xff]));
    refused(
        &npy(&stack, Some(&negative)),
        [1, 2, 2],
        &["the label -1", "expected 0 to 0"],
    );
    let negative = write(dir.path().join("n.npy"), npy_bytes("|i1", &[2], &[0xfe, 0xff]));
    refused(
        &npy(&stack, Some(&negative)),
        [1, 2, 2],
        &["the label -2", "expected 0 to 65535", "number the classes from 0"],
    );
    let far = write(
        dir.path().join("f.npy"),
        npy_bytes("<u4", &[2], &[0, 0, 0, 0, 0, 0, 1, 0]),
    );
    refused(
        &npy(&stack, Some(&far)),
        [1, 2, 2],
        &["the label 65536", "expected 0 to 65535"],
    );
    let huge = write(dir.path().join("h.npy"), npy_bytes("<u8", &[2], &[0xff; 16]));
    refused(
        &npy(&stack, Some(&huge)),
        [1, 2, 2],
        &["the label 18446744073709551615"],
    );
    let reals = write(dir.path().join("r.npy"), npy_bytes("<f4", &[2], &[0; 8]));
    refused(&npy(&stack, Some(&reals)), [1, 2, 2], &["integers", "`<f4`"]);
}

#[test]
fn npy_truncated_of_the_wrong_kind_shape_or_magic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("images.npy");
    let whole = npy_bytes("|u1", &[3, 2, 2], &pattern(12));
    let with = |bytes: &[u8], parts: &[&str]| {
        write(path.clone(), bytes);
        refused(&npy(&path, None), [1, 2, 2], &[&[name(&path)], parts].concat());
    };
    with(&whole[..whole.len() - 1], &["truncated", "found"]);
    with(&whole[..40], &["truncated", "header"]);
    with(&whole[..7], &["truncated", "header"]);
    with(b"PK\x03\x04 an npz file", &["wrong magic", "numpy.save"]);
    with(
        &npy_bytes("<f4", &[3, 2, 2], &[0; 48]),
        &["expected images of u8", "`<f4`"],
    );
    with(&npy_bytes("|u1", &[12], &pattern(12)), &["[N,H,W]", "[12]"]);
    let fortran = String::from_utf8_lossy(&whole[10..128]).replace("False", "True ");
    with(
        &[&whole[..10], fortran.as_bytes(), &whole[128..]].concat(),
        &["Fortran"],
    );
    with(&npy_bytes("|u1", &[0, 2, 2], &[]), &["no image"]);
    with(&npy_bytes("|u1", &[3, 0, 2], &[]), &["no image", "3 of 1 x 0 x 2"]);
    with(&npy_bytes("|u1", &[-3, 2, 2], &[]), &["header cannot be read"]);
    with(
        &npy_bytes("|b1", &[3, 2, 2], &[1; 12]),
        &["0 (black) to 255 (white)", "`|b1`", "* 255"],
    );
    let mut long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    long.extend([b' '; 200]);
    with(&long, &["a header of 4294967295 bytes"]);
}

#[test]
fn no_images_at_all() {
    assert_eq!(
        data::declared_shape(&config(Dataset::None), [3, 8, 8]).unwrap(),
        [3, 8, 8]
    );
    refused(&config(Dataset::None), [3, 8, 8], &["data.dataset", "`none`"]);
    assert!(data::test_images(&Dataset::None, &wanted(Path::new(""), [3, 8, 8], None)).is_err());
}

#[test]
fn shapes_that_disagree_are_found_from_headers() {
    let dir = tempfile::tempdir().unwrap();
    let images = write(dir.path().join("i"), idx_bytes(&[3, 2, 2], &pattern(12)));
    let other = write(dir.path().join("o"), idx_bytes(&[1, 3, 4], &pattern(12)));
    let e = data::check_shape(&idx(&images, None), [1, 28, 28]).unwrap_err();
    assert_words(&e, &["[1, 2, 2]", "[1, 28, 28]"]);
    let e = data::check_shape(&config(Dataset::Cifar10), [1, 28, 28]).unwrap_err();
    assert_words(&e, &["[3, 32, 32]", "[1, 28, 28]"]);
    let mut cfg = idx(&images, None);
    let Dataset::Idx(s) = &mut cfg.dataset else {
        unreachable!()
    };
    s.test_images = Some(other.clone());
    let e = data::declared_shape(&cfg, [1, 2, 2]).unwrap_err();
    assert_words(&e, &[name(&other), "[1, 3, 4]", "[1, 2, 2]"]);
}

#[test]
fn a_named_set_that_is_missing_says_how_to_fetch_it() {
    let dir = tempfile::tempdir().unwrap();
    for (dataset, input, word) in [
        (Dataset::Mnist, [1, 28, 28], "mnist"),
        (Dataset::FashionMnist, [1, 28, 28], "fashion-mnist"),
        (Dataset::Cifar10, [3, 32, 32], "cifar10"),
    ] {
        let mut cfg = config(dataset);
        cfg.root = dir.path().into();
        refused(&cfg, input, &["no such file", &format!("./download_data.sh {word}")]);
        let e = data::test_images(&cfg.dataset, &wanted(dir.path(), input, None)).unwrap_err();
        assert_words(&e, &[&format!("./download_data.sh {word}")]);
    }
    let mut cfg = config(Dataset::Cifar100);
    cfg.root = dir.path().into();
    refused(&cfg, [3, 32, 32], &["cifar-100-binary.tar.gz"]);
}

#[test]
fn a_file_of_the_right_name_with_the_wrong_hash() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path().join("mnist/train-images-idx3-ubyte"),
        idx_bytes(&[1, 28, 28], &[0; 784]),
    );
    let mut cfg = config(Dataset::Mnist);
    cfg.root = dir.path().into();
    let expected = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db";
    refused(
        &cfg,
        [1, 28, 28],
        &[
            name(&path),
            expected,
            "found ",
            "remove it, then run ./download_data.sh mnist",
        ],
    );
    write(path.clone(), "abc");
    // The SHA-256 of "abc" is the first example of the standard (FIPS 180-2, appendix B.1).
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    refused(&cfg, [1, 28, 28], &[abc]);
    let batch = write(dir.path().join("cifar10/data_batch_1.bin"), [0; 3073]);
    let mut cfg = config(Dataset::Cifar10);
    cfg.root = dir.path().into();
    refused(&cfg, [3, 32, 32], &[name(&batch), "SHA-256"]);
}

#[test]
fn cifar_truncated_or_with_a_label_beyond_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path().join("cifar100/train.bin"), vec![0; 3074 + 3000]);
    write(dir.path().join("cifar100/test.bin"), vec![0; 3074]);
    let mut cfg = config(Dataset::Cifar100);
    cfg.root = dir.path().into();
    refused(&cfg, [3, 32, 32], &[name(&path), "truncated", "3074", "6074"]);
    let path = write(dir.path().join("1.bin"), [vec![2], vec![0; 3072]].concat());
    let e = cifar::read(&[path], cifar::Format::Cifar10, &["a", "b"], CPU).unwrap_err();
    assert_words(&e, &["the label 2", "0 to 1"]);
}

#[test]
fn a_folder_that_is_missing_empty_or_holds_what_does_not_decode() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    refused(
        &folder(&d.join("absent"), FitRule::Crop),
        [1, 4, 4],
        &["absent", "no such"],
    );
    fs::create_dir_all(d.join("empty/inner")).unwrap();
    write(d.join("empty/readme.txt"), "text");
    refused(
        &folder(&d.join("empty"), FitRule::Crop),
        [1, 4, 4],
        &["empty", "no picture", ".png"],
    );
    let good = save(&picture(4, 4, |_, _| [1; 3]), d.join("bad/a.png"));
    let mut half = fs::read(good).unwrap();
    half.truncate(half.len() / 2);
    for (content, file, what) in [
        (half, "b.png", "data end early"),
        (b"text".to_vec(), "c.jpg", "does not decode"),
        (Vec::new(), "d.webp", "does not decode"),
    ] {
        let path = write(d.join("bad").join(file), content);
        refused(
            &with_itself_as_test(folder(&d.join("bad"), FitRule::Crop)),
            [1, 4, 4],
            &[name(&path), what],
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn pictures_of_another_size_under_the_exact_rule() {
    let dir = tempfile::tempdir().unwrap();
    save(&picture(4, 4, |_, _| [1; 3]), dir.path().join("a.png"));
    let b = save(&picture(5, 4, |_, _| [1; 3]), dir.path().join("b.png"));
    let cfg = with_itself_as_test(folder(dir.path(), FitRule::Exact));
    refused(&cfg, [1, 4, 4], &[name(&b), "4 x 4", "found 4 x 5", "fit rule"]);
    assert_eq!(data::declared_shape(&cfg, [1, 9, 9]).unwrap(), [1, 4, 4]);
    refused(&cfg, [1, 9, 9], &["[1, 4, 4]", "[1, 9, 9]"]);
    refused(&cfg, [2, 4, 4], &["1 or 3 channels", "expects 2"]);
}

#[test]
fn a_test_folder_with_another_class() {
    let dir = tempfile::tempdir().unwrap();
    save(&picture(4, 4, |_, _| [1; 3]), dir.path().join("train/cat/a.png"));
    let odd = save(&picture(4, 4, |_, _| [1; 3]), dir.path().join("test/cow/b.png"));
    let mut cfg = folder(&dir.path().join("train"), FitRule::Exact);
    let Dataset::Folder(f) = &mut cfg.dataset else {
        unreachable!()
    };
    f.test = Some(dir.path().join("test"));
    refused(&cfg, [1, 4, 4], &[name(&odd), "`cow`", "cat"]);
}
