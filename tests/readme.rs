//! What README.md shows works: its YAML is accepted, its defaults are the program's, its Rust is the compiled example.

mod common;

use std::path::Path;

use common::Bench;
use ebm::config::yaml;
use ebm::experiment::Experiment;
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
        let network = train(Path::new("experiments/strokes.yaml"), 40).unwrap();
        let mut rng = Stream::new(1, "test");
        let energy = FrozenEnergy::new(&network, Kind::Float, 1.0);
        let e = Experiment::load(Path::new("experiments/strokes.yaml"), &[]).unwrap();
        let images = data::open(&e.data, &e.model.input, Device::Cpu).unwrap().test;
        let noise = rng.uniform(&images.pixels.size(), -1.0, 1.0, Device::Cpu);
        let everything = data::to_unit(&images.pixels);
        let _guard = tch::no_grad_guard();
        let auroc = ebm::eval::auroc(&energy.energy(&everything), &energy.energy(&noise)).unwrap();
        assert!(auroc > 0.9, "{auroc}");
    }
}

/// The text of every fenced block of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let mut found: Vec<&str> = README.split(&fence).skip(1).collect();
    for block in &mut found {
        *block = &block[..block.find("```").expect("a closed block")];
    }
    found
}

/// The reference of all keys: the block that names the run.
fn reference() -> &'static str {
    let all = blocks("yaml");
    all.iter()
        .find(|b| b.starts_with("name: my-run"))
        .expect("a block of all keys")
}

#[test]
fn every_yaml_block_passes_check() {
    let bench = Bench::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 3, "{} blocks", blocks.len());
    std::fs::create_dir(bench.path("models")).unwrap();
    for entry in std::fs::read_dir(root.join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        std::fs::copy(&path, bench.path("models").join(path.file_name().unwrap())).unwrap();
    }
    // The folder of pictures that the README's own experiment names.
    let picture = tch::Tensor::zeros([1, 3, 32, 32], (tch::Kind::Uint8, tch::Device::Cpu));
    ebm::report::images_to_folder(&picture, &bench.path("pictures")).unwrap();
    for (i, block) in blocks.iter().enumerate() {
        std::fs::write(bench.path(&format!("block{i}.yaml")), block).unwrap();
        bench.succeeds(&format!("check block{i}.yaml --file-only"));
    }
}

#[test]
fn the_reference_shows_the_defaults() {
    let file = Path::new("my-run.yaml");
    let shown = Experiment::from_text(reference(), file, &[]).unwrap();
    let mut least = yaml::parse(reference(), file).unwrap();
    for (section, needed) in [
        ("data", &["dataset"][..]),
        ("sampler", &["n_steps", "step_size"]),
        ("optimizer", &["algorithm", "lr"]),
        ("train", &["steps", "batch_size"]),
    ] {
        let map = least[section].as_mapping_mut().unwrap();
        map.retain(|key, _| needed.contains(&key.as_str().unwrap()));
    }
    let needed = ["data", "model", "sampler", "optimizer", "train"];
    let map = least.as_mapping_mut().unwrap();
    map.retain(|key, _| needed.contains(&key.as_str().unwrap()));
    let text = serde_yaml::to_string(&least).unwrap();
    let defaults = Experiment::from_text(&text, file, &[]).unwrap();
    assert_eq!(shown, defaults);
}

#[test]
fn the_reference_shows_every_key() {
    let file = Path::new("my-run.yaml");
    let shown = yaml::parse(reference(), file).unwrap();
    let all = yaml::to_value(&Experiment::from_text(reference(), file, &[]).unwrap());
    let mut missing = Vec::new();
    for (section, value) in all.as_mapping().unwrap() {
        let name = section.as_str().unwrap();
        if shown.get(name).is_none() {
            missing.push(name.to_owned());
        }
        let keys = value.as_mapping().filter(|_| name != "model");
        for key in keys.into_iter().flat_map(|m| m.keys()).filter_map(Value::as_str) {
            if shown[name].get(key).is_none() {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}

#[test]
fn the_rust_is_the_compiled_example() {
    let shown = blocks("rust");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0], include_str!("../examples/langevin.rs"));
}

#[test]
fn links_inside_the_project_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let targets = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let own = targets.filter(|t| !t.starts_with("http") && !t.starts_with('#'));
    for target in own {
        let path = target.split('#').next().unwrap();
        assert!(root.join(path).exists(), "{target}");
    }
}
