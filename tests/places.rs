//! A run finds its data from whichever folder the program is started in.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Bench, text};

const MODEL: &str = "{name: small, input: [3, 32, 32], layers: [avg_pool: {size: 8}, flatten, linear: {out: 1}]}";

/// The binary files of CIFAR-100, which are not pinned, with so many images.
fn cifar100(root: &Path, images: u8) {
    let folder = root.join("cifar100");
    fs::create_dir_all(&folder).unwrap();
    for name in ["train.bin", "test.bin"] {
        let rows = (0..images).flat_map(|i| [&[i % 20, i % 100][..], &[10 * i; 3072]].concat());
        fs::write(folder.join(name), rows.collect::<Vec<u8>>()).unwrap();
    }
}

/// A bench with a project in `project`, and an empty folder `elsewhere`.
fn bench() -> Bench {
    let bench = Bench::new();
    for folder in ["project/pictures", "elsewhere/data"] {
        fs::create_dir_all(bench.path(folder)).unwrap();
    }
    let tiny = fs::read_to_string(bench.path("tiny.yaml")).unwrap();
    let strokes = "{strokes: {count: 60, size: 8}}";
    assert!(tiny.contains(strokes));
    let tiny = tiny.replace("validation: 10, augment: {pad_crop: 1, flip: true}", "validation: 3");
    fs::write(
        bench.path("project/named.yaml"),
        tiny.replace(strokes, "cifar100").replace("tiny_model", "model"),
    )
    .unwrap();
    let folder = "{folder: {path: pictures}}";
    fs::write(
        bench.path("project/folder.yaml"),
        tiny.replace(strokes, folder).replace("tiny_model", "model"),
    )
    .unwrap();
    fs::write(bench.path("project/model.yaml"), MODEL).unwrap();
    bench
}

fn elsewhere(bench: &Bench, line: &str) -> Command {
    let mut command = bench.command(line);
    command.current_dir(bench.path("elsewhere"));
    command
}

fn succeeds(bench: &Bench, line: &str) {
    let out = elsewhere(bench, line).output().unwrap();
    assert!(out.status.success(), "{line}: {}", text(&out.stderr));
}

/// Every command that reads the run's data.
const READERS: [&str; 4] = [
    "ood ../project/runs/x --bootstrap 0 --scores log_px",
    "evaluate ../project/runs/x --parts quality -n 8 --steps 1",
    "threshold ../project/runs/x --score log_px",
    "sample ../project/runs/x -n 2 --steps 1 --from data",
];

#[test]
fn the_root_is_found_beside_the_experiment() {
    let bench = bench();
    cifar100(&bench.path("project/data"), 12);
    // `elsewhere` has a folder `data` that does not hold the set.
    let line = "train ../project/named.yaml --out ../project/runs/x --set train.steps=2";
    succeeds(&bench, line);
    READERS.iter().for_each(|line| succeeds(&bench, line));
    succeeds(&bench, &format!("{line} --resume --set train.steps=3"));
    // From the project's own folder, too, where the root is as the file says.
    let mut own = bench.command("train named.yaml --out runs/x --resume --set train.steps=4");
    let out = own.current_dir(bench.path("project")).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    READERS.iter().for_each(|line| succeeds(&bench, line));
}

#[test]
fn the_root_is_found_beside_the_program() {
    let bench = bench();
    let program = bench.path("tree/target/release/ebm");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_ebm"), &program).unwrap();
    cifar100(&bench.path("tree/data"), 12);
    let line = "train ../project/named.yaml --out run --set train.steps=1";
    let mut copied = Command::new(&program);
    let out = copied
        .current_dir(bench.path("elsewhere"))
        .args(line.split(' '))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn the_root_can_be_named() {
    let bench = bench();
    cifar100(&bench.path("far away: here"), 12);
    let root = bench.path("far away: here");
    let with_root = |line: &str| {
        let out = elsewhere(&bench, line).arg("--root").arg(&root).output().unwrap();
        assert!(out.status.success(), "{line}: {}", text(&out.stderr));
    };
    let without = elsewhere(
        &bench,
        "train ../project/named.yaml --out ../project/runs/x --set train.steps=1",
    );
    let out = { without }.output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("cifar100/train.bin") && text(&out.stderr).contains("--root"));
    with_root("check ../project/named.yaml");
    with_root("train ../project/named.yaml --out ../project/runs/x --set train.steps=1");
    // The set is elsewhere by now.
    let moved = bench.path("moved");
    fs::rename(&root, &moved).unwrap();
    for line in READERS {
        let out = elsewhere(&bench, line).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{line}");
        let out = elsewhere(&bench, line).arg("--root").arg(&moved).output().unwrap();
        assert!(out.status.success(), "{line}: {}", text(&out.stderr));
    }
}

#[test]
fn a_folder_of_pictures_is_found_beside_the_experiment() {
    let bench = bench();
    for i in 0..80u8 {
        let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([3 * i; 3]));
        picture
            .save(bench.path(&format!("project/pictures/{i:02}.png")))
            .unwrap();
    }
    let line = "train ../project/folder.yaml --out ../project/runs/x --set train.steps=2";
    succeeds(&bench, "check ../project/folder.yaml");
    succeeds(&bench, line);
    READERS.iter().for_each(|line| succeeds(&bench, line));
    succeeds(&bench, &format!("{line} --resume --set train.steps=3"));
}
