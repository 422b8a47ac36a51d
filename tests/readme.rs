//! What README.md and the pages of docs/ show works: YAML is accepted, Rust is a compiled example, links lead somewhere.

mod common;

use std::path::{Path, PathBuf};

use common::Bench;
use serde_yaml::Value;

const README: &str = include_str!("../README.md");

#[allow(dead_code)] // the tests bring their own main
mod langevin {
    include!("../examples/langevin.rs");

    #[test]
    fn draws_from_a_run() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        bench.succeeds("train tiny.yaml --out run --set train.steps=2");
        let png = bench.path("grid.png");
        draw(&bench.path("run"), &png, 3).unwrap();
        assert!(png.metadata().unwrap().len() > 0);
    }
}

#[allow(dead_code)] // the tests bring their own main
mod train {
    include!("../examples/train.rs");

    #[test]
    fn tells_data_from_noise() {
        tch::set_num_threads(1);
        let model = train(Path::new("experiments/strokes.yaml"), 40).unwrap();
        let mut rng = Stream::new(1, "test");
        let frozen = model.freeze(Form::plain(1.0));
        let energy = frozen.outputs().any();
        let e = Experiment::load(Path::new("experiments/strokes.yaml"), &[]).unwrap();
        let images = data::open(&e.data, e.model.input(), Device::Cpu).unwrap().test;
        let noise = rng.uniform(&images.pixels.size(), -1.0, 1.0, Device::Cpu);
        let everything = data::to_unit(&images.pixels);
        let _guard = tch::no_grad_guard();
        let auroc = ebm::eval::auroc(&energy.energy(&everything), &energy.energy(&noise)).unwrap();
        assert!(auroc > 0.9, "{auroc}");
    }
}

#[allow(dead_code)] // the tests bring their own main
mod compose {
    include!("../examples/compose.rs");

    #[test]
    fn the_product_is_an_arc_to_the_right() {
        tch::set_num_threads(1);
        let x = draw(500, 400);
        let mean = |t: Tensor| t.mean(Kind::Float).double_value(&[]);
        let (distance, along) = (mean(norms(&x)), mean(x.select(1, 0)));
        assert!((distance - 3.0).abs() < 0.2, "{distance}");
        assert!(along > 2.0, "{along}");
    }
}

#[allow(dead_code)] // the tests bring their own main
mod restore {
    include!("../examples/restore.rs");

    #[test]
    fn what_was_seen_is_kept() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        bench.succeeds("train tiny.yaml --out run --set train.steps=5");
        let png = bench.path("restored.png");
        let x = restore(&bench.path("run"), &png, 4, 50).unwrap();
        assert!(png.metadata().unwrap().len() > 0);
        // The same draw of images as the example's own.
        let e = ebm::experiment::Experiment::load(&bench.path("run/resolved.yaml"), &[]).unwrap();
        let test = data::open(&e.data, e.model.input(), Device::Cpu).unwrap().test;
        let image = test.random(4, &mut Stream::new(0, "example"));
        let apart = |from: i64| {
            let of = |t: &Tensor| t.narrow(3, from, 4);
            (of(&x) - of(&image)).abs().mean(Kind::Float).double_value(&[])
        };
        assert!(apart(0) < 0.3 * apart(4), "{} and {}", apart(0), apart(4));
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page of docs/, with their paths in the project.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = vec![(PathBuf::from("README.md"), README.to_owned())];
    collect(Path::new("docs/src"), &mut found);
    assert!(found.len() > 30, "{} pages", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = folder.join(name);
        if root().join(&path).is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push((path.clone(), std::fs::read_to_string(root().join(&path)).unwrap()));
        }
    }
}

/// The text of every fenced block of this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let block = |rest: &'a str| &rest[..rest.find("```").expect("a closed block")];
    text.split(&fence).skip(1).map(block).collect()
}

/// A text without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// A file of which a block is a part: what the block does not say, the experiment of strokes says.
fn whole(block: &str) -> String {
    let parse = |text: &str| serde_yaml::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}\n{block}"));
    let part = parse(block);
    if ebm::models::ModelConfig::is_in(&part) || part.get("train").is_some() {
        return block.to_owned();
    }
    let mut base = parse(include_str!("../experiments/strokes.yaml"));
    for (key, value) in part.as_mapping().unwrap() {
        base.as_mapping_mut().unwrap().insert(key.clone(), value.clone());
    }
    serde_yaml::to_string(&base).unwrap()
}

#[test]
fn every_yaml_block_passes_check() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("models")).unwrap();
    for entry in std::fs::read_dir(root().join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, bench.path("models").join(path.file_name().unwrap())).unwrap();
        }
    }
    // The folder of pictures that the pages name.
    let picture = tch::Tensor::zeros([1, 3, 32, 32], (tch::Kind::Uint8, tch::Device::Cpu));
    ebm::report::images_to_folder(&picture, &bench.path("pictures")).unwrap();
    let mut checked = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "yaml") {
            let name = format!("{}-{checked}.yaml", page.file_stem().unwrap().to_string_lossy());
            std::fs::write(bench.path(&name), whole(block)).unwrap();
            bench.succeeds(&format!("check {name} --file-only"));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} blocks");
}

#[test]
fn the_readme_is_short_and_starts_with_the_picture_and_the_commands() {
    let lines: Vec<&str> = README.lines().collect();
    assert!(lines.len() <= 150, "{} lines", lines.len());
    assert!(lines[2].starts_with("![") && lines[4] == "```", "{:?}", &lines[..6]);
    assert!(lines[5].starts_with("make demo ") && lines[6].starts_with("make test "));
}

#[test]
fn rust_is_a_compiled_example() {
    let shown = blocks(README, "rust");
    assert_eq!(shown, [include_str!("../examples/langevin.rs")]);
    for (page, text) in pages() {
        for block in blocks(&text, "rust") {
            // Files to be added to the library are no programs; they have to be Rust.
            if page.starts_with("docs/src/inside") {
                syn::parse_file(block).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
                continue;
            }
            let examples = std::fs::read_dir(root().join("examples")).unwrap();
            let mut examples = examples.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap());
            assert!(examples.any(|e| e == block), "{}:\n{block}", page.display());
        }
    }
}

/// The anchor of a heading, as code hosts and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_inside_the_project_lead_somewhere() {
    let mut seen = 0;
    for (page, text) in pages() {
        let text = prose(&text);
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("http") {
                continue;
            }
            let (path, place) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => root().join(&page),
                path => root().join(page.parent().unwrap()).join(path),
            };
            assert!(file.exists(), "{}: {target}", page.display());
            seen += 1;
            if !place.is_empty() {
                let there = std::fs::read_to_string(&file).unwrap();
                let headings = there.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(anchors.any(|a| a == place), "{}: {target}", page.display());
            }
        }
    }
    assert!(seen > 80, "{seen} links");
}

#[test]
fn every_page_stands_in_the_summary_once() {
    let summary = std::fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    for (page, _) in pages() {
        let Ok(name) = page.strip_prefix("docs/src") else {
            continue;
        };
        if name != Path::new("SUMMARY.md") {
            let link = format!("({})", name.display());
            assert_eq!(summary.matches(&link).count(), 1, "{link}");
        }
    }
}
