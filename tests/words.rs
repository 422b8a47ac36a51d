//! Names from outside cannot steer a terminal or forge a line, and stand in data files as they are.

mod common;

use std::fs;

use common::{Bench, CLASSIFIER, text};
use ebm::error::{shown, shown_lines};

/// What is refused as a picture here, and would look like two errors.
const FORGED: &str = "x\nerror: fake.png";
/// Clears a terminal, and turns the direction of what follows.
const STEERING: &str = "a\u{1b}[2Jb\u{202e}gnp.png";

#[test]
fn what_steers_is_written_out_and_the_rest_is_kept() {
    assert_eq!(shown("straße 日本 \u{1f600} a b\\n"), "straße 日本 \u{1f600} a b\\n");
    assert_eq!(shown("a\nb\r\t\u{1b}[0m\u{7f}\u{9b}"), "a\\nb\\r\\t\\x1b[0m\\x7f\\x9b");
    assert_eq!(
        shown("\u{202e}\u{2066}\u{2028}\u{200f}\u{feff}"),
        "\\u{202e}\\u{2066}\\u{2028}\\u{200f}\\u{feff}"
    );
    assert_eq!(shown_lines("one\ntwo\u{7}"), "one\n  two\\x07");
}

/// A run without data, and images of one level that it takes, called so.
fn bench(images: &[&str]) -> Bench {
    let bench = Bench::new();
    bench.import("run", CLASSIFIER);
    for name in images {
        image::GrayImage::from_pixel(8, 8, image::Luma([90]))
            .save(bench.path(name))
            .unwrap();
    }
    bench
}

#[test]
fn an_error_about_a_file_is_one_line_whatever_it_is_called() {
    let bench = bench(&[]);
    for name in [FORGED, STEERING] {
        fs::write(bench.path(name), "no picture").unwrap();
        let out = bench.command("score run").arg(name).output().unwrap();
        let said = text(&out.stderr);
        assert_eq!(said.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
        assert!(said.contains(&*shown(name)), "{said}");
        // As a folder of a run, an experiment file and a word that is no option.
        for line in [
            "score",
            "check",
            "sample",
            "export run",
            "train --out",
            "sample run --from",
            "sample run -n",
        ] {
            let out = bench.command(line).arg(name).output().unwrap();
            let said = text(&out.stderr) + &text(&out.stdout);
            assert!(!said.contains(['\u{1b}', '\u{202e}']), "{line}: {said:?}");
            assert!(!said.contains("\nerror: fake"), "{line}: {said}");
        }
    }
}

#[test]
fn a_table_of_scores_holds_names_as_they_are() {
    let odd = "=1+2,\"x\ny\".png";
    let bench = bench(&[odd]);
    let out = bench.command("score run").arg(odd).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let table = text(&out.stdout);
    assert!(table.contains("\n\"=1+2,\"\"x\ny\"\".png\",0,"), "{table}");
    let out = bench.command("score run --format jsonl").arg(odd).output().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(record["path"], odd);
}

#[test]
fn names_of_classes_and_sets_are_shown_safely_in_tables() {
    let bench = Bench::new();
    for (class, level) in [("calm", 40), ("\u{1b}[2Jclass\nerror: x", 200)] {
        let folder = bench.path("photos").join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..12u8 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([level + i]));
            picture.save(folder.join(format!("{i}.png"))).unwrap();
        }
    }
    fs::write(bench.path("classes.yaml"), CLASSIFIER).unwrap();
    let set =
        "--set model=classes.yaml --set objective.p_y_given_x_weight=1 --set train.steps=2 --set data.validation=4";
    let data = r#"--set data.dataset={"folder":{"path":"photos"}}"#;
    bench.succeeds(&format!("train tiny.yaml --out run {set} {data}"));
    let table = bench.succeeds("evaluate run --parts agreement -n 4 --steps 1");
    assert!(table.contains("\\x1b[2Jclass\\nerror: x"), "{table}");
    assert!(!table.contains('\u{1b}') && !table.contains("\nerror: x"), "{table:?}");
}

#[test]
fn an_experiment_has_no_name_that_steers() {
    let bench = Bench::new();
    for name in ["a\\nb", "a\\eb", "a/b", "..", "a\\u202eb"] {
        let out = bench
            .command("check tiny.yaml --set")
            .arg(format!("name=\"{name}\""))
            .output()
            .unwrap();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("tiny.yaml: name: "), "{said}");
    }
}
