//! Every command brings images into the shape of a run by one rule, and measures all of what it is
//! told to measure.

mod common;

use std::fs;
use std::path::Path;

use common::{Bench, text};
use ebm::rng::Stream;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Rules that bring pictures which are not square to a square shape.
const RULES: [&str; 3] = ["crop", "stretch", "pad"];

/// Random pictures of 8 x 14 pixels, u8 `[n,1,8,14]`; of different brightness, so that energies
/// differ.
fn pictures(n: i64, seed: u64) -> Tensor {
    let rng = &mut Stream::new(seed, "pictures");
    let levels =
        rng.uniform(&[n, 1, 8, 14], 0.0, 1.0, Device::Cpu) * rng.uniform(&[n, 1, 1, 1], 20.0, 255.0, Device::Cpu);
    levels.to_kind(Kind::Uint8)
}

/// A bench with the folder `photos` of twelve such pictures, and the same in `photos.npy`.
fn bench() -> Bench {
    let bench = Bench::new();
    ebm::report::images_to_folder(&pictures(12, 1), &bench.path("photos")).unwrap();
    ebm::report::npy(&pictures(12, 1), &bench.path("photos.npy")).unwrap();
    bench
}

/// Trains `out` on the folder by a rule, with the folder as the test images too.
fn train(bench: &Bench, rule: &str, out: &str) {
    bench.succeeds(&format!(
        r#"train tiny.yaml --out {out} --set train.steps=3 --set data.validation=3 --set data.dataset={{"folder":{{"path":"photos","test":"photos","fit":"{rule}"}}}} --set evaluate.ood=[{{"data":{{"folder":{{"path":"photos"}}}}}}]"#
    ));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn auroc(bench: &Bench, line: &str) -> (f64, String) {
    let out = bench.succeeds(&format!("ood {line} --scores log_px --bootstrap 0 --json a.json"));
    (json(&bench.path("a.json"))[0]["auroc"].as_f64().unwrap(), out)
}

#[test]
fn a_folder_against_itself_has_an_auroc_of_one_half() {
    let bench = bench();
    for rule in RULES {
        train(&bench, rule, rule);
        for line in [
            "--against photos",
            "--in photos --against photos",
            "--against photos.npy",
        ] {
            let (found, out) = auroc(&bench, &format!("{rule} {line}"));
            assert_eq!(found, 0.5, "{rule} {line}");
            assert!(out.contains(&format!("the rule `{rule}`, the run's own")), "{out}");
        }
        assert_eq!(
            json(&bench.path(&format!("{rule}/results.json")))["ood"]["rows"][0]["auroc"],
            0.5
        );
    }
    // Without a rule in its name the folder is fitted as the run's own.
    let (other, out) = auroc(&bench, r#"stretch --against {"folder":{"path":"photos","fit":"crop"}}"#);
    assert!(
        other != 0.5 && out.contains("the rule `crop`, asked for by name"),
        "{out}"
    );
}

/// How many images a threshold accepts by its own account, and by `ebm score`.
fn accepted(bench: &Bench, run: &str, on: &str, scored: &str) -> (f64, usize) {
    bench.succeeds(&format!("threshold {run} --score log_px --tpr 0.6 --on {on}"));
    let fitted = json(&bench.path(&format!("{run}/threshold.json")));
    let by_fit = fitted["accepted"].as_f64().unwrap() * fitted["images"].as_f64().unwrap();
    let out = bench.ebm(&format!("score {run} {scored} --threshold"));
    let rows = text(&out.stdout);
    assert!(rows.starts_with("path,index,energy"), "{}", text(&out.stderr));
    (
        by_fit,
        rows.lines()
            .filter(|l| l.ends_with(",in") || l.contains(",in,"))
            .count(),
    )
}

#[test]
fn score_accepts_as_many_as_the_threshold_was_fitted_to_accept() {
    let bench = bench();
    for rule in RULES {
        train(&bench, rule, rule);
        for on in ["photos", "photos.npy"] {
            let (by_fit, by_score) = accepted(&bench, rule, on, on);
            assert_eq!((by_fit.round() as usize, by_score), (8, 8), "{rule}, {on}");
        }
    }
    // A rule that was asked for by name goes with the threshold.
    let on = r#"{"folder":{"path":"photos","fit":"crop"}}"#;
    let (by_fit, by_score) = accepted(&bench, "pad", on, "photos");
    assert_eq!((by_fit.round() as usize, by_score), (8, 8));
    assert_eq!(json(&bench.path("pad/threshold.json"))["fit"], "crop");
}

#[test]
fn a_threshold_that_does_not_know_its_rule_is_refused_where_it_matters() {
    let bench = bench();
    for rule in ["crop", "pad"] {
        train(&bench, rule, rule);
        bench.succeeds(&format!("threshold {rule} --score log_px --on photos"));
        let path = bench.path(&format!("{rule}/threshold.json"));
        let mut old = json(&path);
        old.as_object_mut().unwrap().remove("fit").unwrap();
        fs::write(&path, old.to_string()).unwrap();
    }
    let out = bench.ebm("score crop photos --threshold");
    assert!(matches!(out.status.code(), Some(0 | 4)), "{}", text(&out.stderr));
    bench.fails(
        "score pad photos --threshold",
        2,
        &["threshold.json", "`pad`", "ebm threshold"],
    );
}

#[test]
fn a_run_of_exact_pictures_takes_no_other_size() {
    let bench = bench();
    let square = pictures(12, 2).narrow(3, 0, 8).contiguous();
    ebm::report::images_to_folder(&square, &bench.path("square")).unwrap();
    bench.succeeds(
        r#"train tiny.yaml --out run --set train.steps=1 --set data.validation=3 --set data.dataset={"folder":{"path":"square","fit":"exact"}}"#,
    );
    for line in [
        "ood run --against photos",
        "ood run --against photos.npy",
        "threshold run --score log_px --on photos",
        "evaluate run --parts quality --data photos -n 4 --steps 1",
    ] {
        bench.fails(line, 2, &["8 x 8", "8 x 14"]);
    }
    bench.succeeds(r#"ood run --against {"folder":{"path":"photos","fit":"pad"}} --bootstrap 0"#);
}

/// A folder with so many pictures of each class of the classifier's, by sub-folders.
fn labelled_folder(bench: &Bench, name: &str, each: i64) {
    for (class, seed) in [("stroke", 3), ("disc", 4)] {
        let folder = bench.path(name).join(class);
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        ebm::report::images_to_folder(&pictures(each, seed), &folder).unwrap();
    }
}

#[test]
fn all_of_what_is_named_is_measured() {
    let bench = Bench::with_classifier(2);
    labelled_folder(&bench, "all", 20);
    labelled_folder(&bench, "few", 3);
    ebm::report::npy(&pictures(30, 5), &bench.path("s.npy")).unwrap();
    let strokes = r#"{"strokes":{"count":50,"size":8}}"#;
    for (set, images, part) in [
        ("all", 40, "all 40 images"),
        (r#"{"folder":{"path":"all","test":"few"}}"#, 6, "all 6 test images"),
        (strokes, 10, "all 10 test images"),
        ("all --limit 9", 9, "9 images, drawn by --limit"),
    ] {
        let line = format!("evaluate run --parts classification --data {set} --json e.json");
        bench.succeeds(&line);
        let figures = json(&bench.path("e.json"));
        assert_eq!(figures["classification"]["images"], images, "{set}");
        assert_eq!(figures["measured_on"], part, "{set}");
    }
    let quality = bench.ebm("evaluate run --parts quality --data s.npy -n 6 --steps 1");
    assert!(
        text(&quality.stdout).contains("reference: 30 images of s.npy"),
        "{}",
        text(&quality.stderr)
    );
    assert!(text(&quality.stderr).contains("measured on s.npy: all 30 images; another size is brought to 8 x 8"));
    // Labels keep the run's numbers where a set has fewer classes.
    fs::remove_dir_all(bench.path("all/stroke")).unwrap();
    bench.succeeds("evaluate run --parts classification --data all --json e.json");
    let accuracies = json(&bench.path("e.json"))["classification"]["class_accuracy"].clone();
    assert!(accuracies[0].is_null() && accuracies[1].is_f64(), "{accuracies}");
}

#[test]
fn a_run_without_validation_images_is_told_the_command_that_fits_a_threshold() {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out all --set train.steps=1 --set data.validation=0");
    let told = bench.fails(
        "threshold all --score log_px",
        2,
        &["12 test images", "data.validation"],
    );
    let command = told.split('`').find(|t| t.starts_with("ebm ")).expect("a command");
    assert!(
        bench
            .succeeds(command.strip_prefix("ebm ").unwrap())
            .contains("of 12 images (test")
    );
}

#[test]
fn the_recipes_for_own_pictures_hold_validation_images_out() {
    let readme = include_str!("../README.md");
    let recipe = readme
        .split("```yaml\n")
        .nth(1)
        .and_then(|b| b.split("```").next())
        .unwrap();
    for (text, file) in [
        (recipe, "mine.yaml"),
        (include_str!("../experiments/folder.yaml"), "experiments/folder.yaml"),
    ] {
        let e = ebm::experiment::Experiment::from_text(text, Path::new(file), &[]).unwrap();
        assert!(e.data.validation > 0, "{file}");
    }
}
