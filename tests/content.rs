//! A run notices other images under the names that it was trained on.

mod common;

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use common::{Bench, text};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const TRAIN: &str = r#"train tiny.yaml --out run --set model=tiny_classifier.yaml --set objective.p_y_given_x_weight=1 --set data.validation=3 --set data.dataset={"folder":{"path":"photos"}}"#;

/// A bench with a run on a folder of two classes, whose files all have one size.
fn bench() -> Bench {
    let bench = Bench::new();
    for (class, base) in [("a", 0), ("b", 100)] {
        fs::create_dir_all(bench.path("photos").join(class)).unwrap();
        for i in 0..10u8 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([base + i]));
            picture.save(bench.path(&format!("photos/{class}/{i}.bmp"))).unwrap();
        }
    }
    bench.succeeds(&format!("{TRAIN} --set train.steps=2"));
    bench
}

/// Every command that opens the run's own data.
fn commands() -> Vec<String> {
    let resume = format!("{TRAIN} --set train.steps=3 --resume");
    let others = [
        "ood run --bootstrap 0",
        "ood run --bootstrap 0 --in validation",
        "evaluate run --parts classification",
        "evaluate run --parts quality --reference train -n 8 --steps 1",
        "threshold run --score log_px",
        "threshold run --score log_px --on test",
        "score run photos --scores typicality",
        "sample run -n 2 --steps 1 --from data",
    ];
    others.into_iter().map(str::to_owned).chain([resume]).collect()
}

#[test]
fn swapped_classes_are_other_data() {
    let bench = bench();
    let at = |name: &str| bench.path("photos").join(name);
    fs::rename(at("a"), at("c")).unwrap();
    fs::rename(at("b"), at("a")).unwrap();
    fs::rename(at("c"), at("b")).unwrap();
    for line in commands() {
        bench.fails(
            &line,
            2,
            &["data.json", "other contents under the same names", "remedy"],
        );
    }
    // A set that is named is not the run's own.
    bench.succeeds("threshold run --score log_px --on photos");
}

#[test]
fn changed_bytes_of_equal_length_are_other_data_and_a_touched_file_is_not() {
    let bench = bench();
    let path = bench.path("photos/a/3.bmp");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
        .unwrap();
    for line in commands() {
        let out = bench.ebm(&line);
        assert!(out.status.success(), "{line}: {}", text(&out.stderr));
        assert!(!text(&out.stderr).contains("not compared"), "{}", text(&out.stderr));
    }
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let longer = format!("{TRAIN} --set train.steps=4 --resume");
    for line in commands().iter().filter(|l| !l.starts_with("train")).chain([&longer]) {
        bench.fails(line, 2, &["data.json", "other contents under the same names"]);
    }
}

#[test]
fn old_records_are_compared_by_names_and_sizes_and_that_is_said_once() {
    let bench = bench();
    let path = bench.path("run/data.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let listing = record["sources"][0]["digest"]["listing"].as_object_mut().unwrap();
    assert!(listing.remove("contents").is_some());
    fs::write(&path, record.to_string()).unwrap();
    for line in commands() {
        let out = bench.ebm(&line);
        let told = text(&out.stderr);
        assert!(out.status.success(), "{line}: {told}");
        assert_eq!(told.matches("is not compared").count(), 1, "{line}: {told}");
    }
    fs::write(bench.path("photos/a/3.bmp"), [0; 10]).unwrap();
    bench.fails("ood run", 2, &["3.bmp"]);
    fs::remove_file(bench.path("photos/a/3.bmp")).unwrap();
    for line in ["ood run", "evaluate run", "threshold run --score log_px"] {
        bench.fails(line, 2, &["data.json", "photos held 20 pictures, it holds 19"]);
    }
    fs::write(&path, "{}").unwrap();
    bench.fails("ood run", 2, &["data.json", "cannot be read"]);
}

#[test]
fn a_stack_is_known_by_its_content() {
    let bench = Bench::new();
    let write = |level: i64| {
        let levels = Tensor::full([30, 1, 8, 8], level, (Kind::Uint8, Device::Cpu));
        ebm::report::npy(&levels, &bench.path("s.npy")).unwrap();
    };
    write(10);
    bench.succeeds(r#"train tiny.yaml --out run --set train.steps=1 --set data.dataset={"npy":{"images":"s.npy"}}"#);
    bench.succeeds("ood run --bootstrap 0");
    write(20);
    for line in ["ood run", "evaluate run", "threshold run --score log_px"] {
        bench.fails(line, 2, &["data.json", "s.npy has another content"]);
    }
}
