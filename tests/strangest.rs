//! `ebm score --top`: the images of the highest score, as rows and as a picture; and no number
//! under two names.

mod common;

use std::fs;

use common::Bench;
use tch::{Kind, Tensor};

/// A run, and a stack of nine images, each of one level.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=4");
    let levels = (Tensor::arange(9, (Kind::Int64, tch::Device::Cpu)) * 30).to_kind(Kind::Uint8);
    let images = levels.view([9, 1, 1, 1]).repeat([1, 1, 8, 8]);
    ebm::report::npy(&images, &bench.path("x.npy")).unwrap();
    bench
}

/// The rows without the header, the highest of the column of that name first.
fn ordered(table: &str, column: &str) -> Vec<String> {
    let at = table
        .lines()
        .next()
        .unwrap()
        .split(',')
        .position(|c| c == column)
        .unwrap();
    let score = |row: &String| row.split(',').nth(at).unwrap().parse::<f64>().unwrap();
    let mut rows: Vec<String> = table.lines().skip(1).map(str::to_owned).collect();
    rows.sort_by(|a, b| score(b).total_cmp(&score(a)));
    rows
}

fn rows(table: &str) -> Vec<&str> {
    table.lines().skip(1).collect()
}

#[test]
fn the_strangest_images_are_listed_and_drawn_in_order() {
    let bench = bench();
    let all = ordered(&bench.succeeds("score run x.npy"), "energy");
    let top = bench.succeeds("score run x.npy --top 5 --sheet odd.png");
    assert_eq!(rows(&top), all[..5]);
    let sheet = image::open(bench.path("odd.png")).unwrap().to_luma8();
    // Three columns of 96 pixels; beneath each row the ranks and scores.
    assert_eq!(sheet.dimensions(), (3 * 100 + 4, 2 * 118 + 4));
    for (i, row) in all[..5].iter().enumerate() {
        let index: u32 = row.split(',').nth(1).unwrap().parse().unwrap();
        let (x, y) = (50 + i as u32 % 3 * 100, 50 + i as u32 / 3 * 118);
        assert_eq!(u32::from(sheet.get_pixel(x, y)[0]), 30 * index, "place {i}");
    }
    let words = image::imageops::crop_imm(&sheet, 0, 101, 300, 17).to_image();
    assert!(words.pixels().any(|p| p[0] < 128));
}

#[test]
fn the_first_score_asked_for_decides() {
    let bench = bench();
    let line = "score run x.npy --scores grad_norm";
    let all = ordered(&bench.succeeds(line), "grad_norm");
    assert_eq!(rows(&bench.succeeds(&format!("{line} --top 4"))), all[..4]);
    assert_eq!(rows(&bench.succeeds(&format!("{line} --top 100"))), all[..]);
    bench.fails("score run x.npy --sheet odd.png", 2, &["--top"]);
    bench.fails("score run x.npy --top 3 --sheet odd.jpg", 2, &["odd.jpg", ".png"]);
    assert!(!bench.path("odd.png").exists());
}

#[test]
fn a_number_stands_under_one_name() {
    let bench = bench();
    let table = bench.succeeds("score run x.npy --scores log_px,energy,grad_norm");
    assert!(table.starts_with("path,index,energy,grad_norm\n"), "{table}");
    let line = "ood run --against uniform --scores log_px,energy,log_px --bootstrap 0 --json a.json";
    let out = bench.ebm(line);
    assert!(out.status.success());
    assert!(common::text(&out.stderr).contains("energy is left out"));
    let rows: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("a.json")).unwrap()).unwrap();
    let scores: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["score"].as_str().unwrap())
        .collect();
    assert_eq!(scores, ["log_px"]);
}
