//! Which files of a folder are read, what is said of the others, and the classes that sub-folders
//! make.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use ebm::data;
use ebm::data::FitRule;
use tch::Device;

use crate::files::*;

fn open(root: &Path) -> ebm::Result<data::DataSet> {
    let cfg = with_itself_as_test(folder(root, FitRule::Exact));
    data::open(&cfg, [1, 2, 2], Device::Cpu)
}

fn grey(level: u8, path: impl AsRef<Path>) {
    save(&picture(2, 2, |_, _| [level; 3]), path.as_ref().to_path_buf());
}

#[test]
fn every_kind_of_picture_is_found_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "a.png", "b.bmp", "c.gif", "d.tif", "e.tiff", "f.ppm", "g.webp", "h.PNG", "i.pnm",
    ];
    for (i, name) in names.iter().enumerate() {
        grey(20 * i as u8, dir.path().join(name));
    }
    let jpeg = dir.path().join("j.jpg");
    grey(200, &jpeg);
    fs::rename(&jpeg, dir.path().join("j.jfif")).unwrap();
    write(dir.path().join("k.pgm"), b"P5 2 2 255\n\xf0\xf0\xf0\xf0");
    write(dir.path().join("l.pbm"), b"P1 2 2\n1 1 1 1\n");
    let levels = bytes(&open(dir.path()).unwrap().train.pixels);
    let firsts: Vec<u8> = levels.into_iter().step_by(4).collect();
    assert_eq!(firsts, [0, 20, 40, 60, 80, 100, 120, 140, 160, 200, 240, 0]);
}

#[test]
fn a_tangle_of_links_is_walked_once() {
    let dir = tempfile::tempdir().unwrap();
    // Thirty folders, each with links to all: the ways through them are more than there is time
    // for.
    let names: Vec<String> = (0..30).map(|i| format!("f{i:02}")).collect();
    for (i, name) in names.iter().enumerate() {
        grey(i as u8, dir.path().join(name).join("a.png"));
        for other in &names {
            symlink(
                dir.path().join(other),
                dir.path().join(name).join(format!("to_{other}")),
            )
            .unwrap();
        }
    }
    let set = open(dir.path()).unwrap();
    let firsts: Vec<u8> = bytes(&set.train.pixels).into_iter().step_by(4).collect();
    assert_eq!(firsts, (0..30).collect::<Vec<u8>>());
    assert_eq!(set.train.classes, names);
}

#[test]
fn a_folder_is_known_by_its_own_name_before_that_of_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let away = tempfile::tempdir().unwrap();
    grey(1, dir.path().join("cats/a.png"));
    grey(2, away.path().join("b.png"));
    symlink("cats", dir.path().join("a link")).unwrap();
    symlink(away.path(), dir.path().join("dogs")).unwrap();
    let set = open(dir.path()).unwrap();
    assert_eq!(set.train.classes, ["cats", "dogs"]);
    assert_eq!(set.train.len(), 2);
}

#[test]
fn a_class_of_other_files_does_not_vanish() {
    let dir = tempfile::tempdir().unwrap();
    grey(1, dir.path().join("cats/a.png"));
    grey(1, dir.path().join("owls/a.png"));
    for name in ["dogs/a.heic", "dogs/b.HEIC", "dogs/deeper/c.avif"] {
        write(dir.path().join(name), "x");
    }
    let e = open(dir.path()).unwrap_err();
    let text = e.to_string();
    for part in ["`dogs`", "3 files", ".heic 2", ".avif 1", ".png", "remedy"] {
        assert!(e.is_input() && text.contains(part), "`{part}` is not in: {text}");
    }
    // Without classes nothing can vanish.
    grey(1, dir.path().join("loose.png"));
    assert_eq!(open(dir.path()).unwrap().train.len(), 3);
}

#[test]
fn a_folder_of_other_files_says_which() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.heic", "b.heic", "c.txt", "README"] {
        write(dir.path().join(name), "x");
    }
    let text = open(dir.path()).unwrap_err().to_string();
    for part in ["no picture", "4 files", ".heic 2", ".txt 1", "without extension 1"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn classes_whose_names_are_not_utf8_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let names: [&[u8]; 5] = [b"caf\xe9", b"caf\xe8", b"caf\\xe9", "café".as_bytes(), b"plain\\name"];
    for (i, name) in names.iter().enumerate() {
        grey(i as u8, dir.path().join(OsStr::from_bytes(name)).join("a.png"));
    }
    let set = open(dir.path()).unwrap();
    let mut classes = set.train.classes.clone();
    assert!(classes.is_sorted());
    classes.sort();
    let mut expected = ["caf\\xe9", "caf\\xe8", "caf\\\\xe9", "café", "plain\\name"];
    expected.sort();
    assert_eq!(classes, expected);
    let mut labels = numbers(set.train.labels.as_ref().unwrap());
    labels.sort();
    assert_eq!(labels, [0, 1, 2, 3, 4]);
}
