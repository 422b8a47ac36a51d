//! Folders, pictures and stacks at the edges, through the real binary: bounds, and what is said of
//! files left out.

mod common;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use common::{Bench, text};
use image::GrayImage;

/// A bench with a run, which takes 1x8x8.
fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    bench
}

fn grey(side: u32, path: impl AsRef<Path>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    GrayImage::from_fn(side, side, |x, y| image::Luma([(x * 20 + y) as u8]))
        .save(path)
        .unwrap();
}

/// `count` stacked images of 8 x 8, whose levels are these by turns.
fn stack(path: impl AsRef<Path>, levels: &[u8], count: u32) {
    let mut bytes = vec![0, 0, 8, 3];
    [count, 8, 8].iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend((0..count as usize * 64).map(|i| levels[i % levels.len()]));
    fs::write(path, bytes).unwrap();
}

/// A small JPEG that announces 65,000 x 65,000 pixels.
fn boundless_jpeg(path: impl AsRef<Path>) {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures/progressive.jpg");
    let mut bytes = fs::read(stored).unwrap();
    let frame = bytes.windows(2).position(|w| w == [0xff, 0xc2]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&65_000u16.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&65_000u16.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

/// The head of a BMP of 60,000 x 60,000 pixels.
fn boundless_bmp(path: impl AsRef<Path>) {
    let mut bytes = b"BM".to_vec();
    for number in [4096u32, 0, 54, 40, 60_000, 60_000, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(4096, 0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_picture_that_announces_too_much_is_refused_alone() {
    let bench = trained();
    fs::create_dir(bench.path("p")).unwrap();
    boundless_jpeg(bench.path("p/a.jpg"));
    boundless_bmp(bench.path("p/b.bmp"));
    grey(8, bench.path("p/c.png"));
    let out = bench.ebm("score run p");
    assert_eq!(out.status.code(), Some(1));
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert!(stdout.lines().count() == 2 && stdout.contains("p/c.png"), "{stdout}");
    for mention in [
        "p/a.jpg: announces 65000 x 65000 pixels",
        "p/b.bmp: announces 60000 x 60000 pixels",
        "a picture may take 512 MiB",
        "--max-picture-mib",
        "1 images scored, 2 could not be",
    ] {
        assert!(stderr.contains(mention), "`{mention}` is not in\n{stderr}");
    }
}

#[test]
fn the_bound_counts_copies_and_is_an_option() {
    let bench = trained();
    // 900 x 900 x 3 bytes are decoded, and a grey copy of 900 x 900 is made of them: 3.1 MiB and
    // what is at work.
    image::RgbImage::new(900, 900).save(bench.path("a.png")).unwrap();
    bench.fails("score run a.png --max-picture-mib 3", 1, &["a.png", "may take 3 MiB"]);
    bench.succeeds("score run a.png --max-picture-mib 5");
    bench.succeeds("score run a.png");
    bench.fails("score run a.png --max-picture-mib 0", 2, &["max-picture-mib"]);
    stack(bench.path("s"), &[0, 200], 2);
    let mut bytes = fs::read(bench.path("s")).unwrap();
    bytes.truncate(16);
    bytes[4..16].copy_from_slice(&[1u32, 2000, 2000].map(u32::to_be_bytes).concat());
    bytes.resize(16 + 4_000_000, 200);
    fs::write(bench.path("s"), bytes).unwrap();
    bench.fails(
        "score run s --max-picture-mib 8",
        1,
        &["an image of the stack", "8 MiB"],
    );
}

#[test]
fn pictures_and_stacks_of_no_height_are_refused() {
    let bench = trained();
    let mut empty = vec![0, 0, 8, 3];
    [2u32, 0, 8].iter().for_each(|size| empty.extend(size.to_be_bytes()));
    fs::write(bench.path("s"), empty).unwrap();
    bench.fails("score run s", 1, &["s: holds no image", "2 of 1 x 0 x 8"]);
    let mut flat = vec![0; 54];
    flat[..2].copy_from_slice(b"BM");
    for (at, number) in [(10, 54u32), (14, 40), (18, 8), (22, 0), (26, 1 | 24 << 16)] {
        flat[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    fs::write(bench.path("flat.bmp"), flat).unwrap();
    fs::write(bench.path("flat.pgm"), "P5 0 8 255\n").unwrap();
    bench.fails(
        "score run flat.bmp flat.pgm",
        1,
        &["flat.bmp", "flat.pgm", "2 could not be"],
    );
}

#[test]
fn what_is_no_file_is_passed_over_and_never_opened() {
    let bench = trained();
    grey(8, bench.path("p/a.png"));
    let fifo = bench.path("p/b.png");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = UnixListener::bind(bench.path("p/c.png")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", bench.path("p/d.png")).unwrap();
    let out = bench.ebm("score run p");
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    for mention in ["p: 3 files passed over", "FIFO 1", "socket 1", "device 1"] {
        assert!(stderr.contains(mention), "`{mention}` is not in\n{stderr}");
    }
    bench.fails("score run p/b.png", 1, &["p/b.png: is a FIFO; expected a file"]);
    bench.fails("score run p/d.png", 1, &["p/d.png: is a device; expected a file"]);
    bench.fails("ood run --against p/b.png", 2, &["p/b.png: is a FIFO"]);
}

#[test]
fn left_out_files_are_told_once_wherever_a_folder_is_read() {
    let bench = trained();
    for i in 0..80 {
        grey(8, bench.path(&format!("p/{i}.png")));
    }
    for name in ["a.heic", "b.HEIC", "notes.txt"] {
        fs::write(bench.path("p").join(name), "x").unwrap();
    }
    let file = fs::read_to_string(bench.path("tiny.yaml")).unwrap();
    let file = file.replace(
        "{strokes: {count: 60, size: 8}}, validation: 10",
        "{folder: {path: p}}, validation: 4",
    );
    fs::write(bench.path("folder.yaml"), file).unwrap();
    for line in [
        "check folder.yaml",
        "train folder.yaml --out own --set train.steps=2",
        "score own p",
        "score run p",
        "ood own --against uniform --bootstrap 0",
        "ood run --against p --bootstrap 0",
        "threshold own --score log_px",
        "threshold run --score log_px --on p",
        "evaluate own --parts quality -n 20",
    ] {
        let out = bench.ebm(line);
        let stderr = text(&out.stderr);
        assert!(out.status.success(), "ebm {line}\n{stderr}");
        let told = stderr
            .matches("warning: p: 3 files passed over (.heic 2, .txt 1)")
            .count();
        assert_eq!(told, 1, "ebm {line}\n{stderr}");
    }
}

#[test]
fn a_class_that_would_vanish_stops_training_and_check() {
    let bench = Bench::new();
    grey(8, bench.path("p/cats/a.png"));
    grey(8, bench.path("p/dogs/a.png"));
    fs::create_dir(bench.path("p/owls")).unwrap();
    fs::write(bench.path("p/owls/a.heic"), "x").unwrap();
    let file = fs::read_to_string(bench.path("tiny.yaml")).unwrap();
    let file = file.replace("{strokes: {count: 60, size: 8}}, validation: 10", "{folder: {path: p}}");
    fs::write(bench.path("folder.yaml"), file).unwrap();
    for line in ["check folder.yaml", "train folder.yaml --out run"] {
        bench.fails(line, 2, &["p: the sub-folder `owls`", ".heic 1", "remedy"]);
    }
    assert!(!bench.path("run").exists());
}

#[test]
fn stacks_of_zeros_and_ones_are_told_everywhere() {
    let bench = trained();
    stack(bench.path("mask"), &[0, 1, 1], 80);
    stack(bench.path("levels"), &[0, 1, 2], 40);
    let file = fs::read_to_string(bench.path("tiny.yaml")).unwrap();
    let file = file.replace("{strokes: {count: 60, size: 8}}", "{idx: {images: mask}}");
    fs::write(bench.path("mask.yaml"), file).unwrap();
    for line in [
        "score run mask",
        "train mask.yaml --out own --set train.steps=2",
        "ood own --against uniform --bootstrap 0",
        "ood run --against mask --bootstrap 0",
        "threshold own --score log_px",
        "evaluate own --parts quality -n 20",
    ] {
        let out = bench.ebm(line);
        let stderr = text(&out.stderr);
        assert!(out.status.success(), "ebm {line}\n{stderr}");
        let told = stderr
            .matches("warning: mask: the largest level of all images is 1, levels go from 0")
            .count();
        assert_eq!(told, 1, "ebm {line}\n{stderr}");
    }
    for line in ["score run levels", "ood run --against levels --bootstrap 0"] {
        let stderr = text(&bench.ebm(line).stderr);
        assert!(!stderr.contains("warning: levels"), "ebm {line}\n{stderr}");
    }
}
