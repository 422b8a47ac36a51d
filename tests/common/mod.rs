//! What the tests through the real binary share: a tiny experiment, and ways to run `ebm`.
#![allow(dead_code)] // each test file uses its own part

pub mod fill;
pub mod targets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with a tiny experiment in it; runs take a second or two.
pub struct Bench {
    pub dir: TempDir,
}

const MODEL: &str = "
name: tiny
input: [1, 8, 8]
layers:
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1, spectral_norm: {}}
  - silu
  - flatten
  - linear: {out: 1}
";

const EXPERIMENT: &str = "
seed: 7
threads: 1
data: {dataset: {strokes: {count: 60, size: 8}}, validation: 10, augment: {pad_crop: 1, flip: true}}
model: tiny_model.yaml
sampler: {n_steps: 3, step_size: 10, noise_scale: 0.005, grad_clip: {value: 0.03}, clamp: [-1, 1], order: [noise, clamp, gradient, clamp], precision: f32, layout: contiguous}
buffer: {size: 32, reinit_prob: 0.1}
objective: {energy_reg: 0.1, data_noise: 0.01}
optimizer: {algorithm: {adam: {betas: [0.0, 0.999]}}, lr: 1.0e-3, grad_clip: {norm: 0.1}, ema: 0.99, schedule: {cosine: {}}}
train: {steps: 40, batch_size: 8, log_every: 5, checkpoint_every: 10, keep: 3}
report: {every: 0, images: 4, tensorboard: false}
evaluate: {ood: [uniform]}
";

/// A network that tells the two classes of the experiment's images apart.
pub const CLASSIFIER: &str = "
name: classifier
input: [1, 8, 8]
output: logits
layers:
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1}
  - silu
  - flatten
  - linear: {out: 2}
";

/// The tiny network with a number a class: strokes and discs.
const NORMED: &str = "
name: tiny_classifier
input: [1, 8, 8]
output: logits
layers:
  - conv: {out: 8, kernel: 3, stride: 2, padding: 1}
  - batch_norm: {}
  - silu
  - flatten
  - linear: {out: 2}
";

/// Changes that turn the tiny experiment into a JEM with chains that draw their class.
pub const JEM: &str =
    "--set model=tiny_classifier.yaml --set objective.p_y_given_x_weight=1 --set objective.chains=with-class";

/// Changes that turn the tiny experiment into one of p(x|y) and p(y|x), with chains that keep their
/// class.
pub const BY_CLASS: &str = "--set model=tiny_classifier.yaml --set objective.p_x_weight=0 --set objective.p_y_given_x_weight=1 --set objective.p_x_given_y_weight=1 --set objective.chains=by-class";

impl Bench {
    /// A bench with `run`, a classifier that was trained for so many steps.
    pub fn with_classifier(steps: u64) -> Self {
        let bench = Self::new();
        std::fs::write(bench.path("classes.yaml"), CLASSIFIER).unwrap();
        let set = "--set objective.p_y_given_x_weight=1 --set optimizer.lr=0.02 --set optimizer.grad_clip=null --set optimizer.ema=null";
        bench.succeeds(&format!(
            "train tiny.yaml --set model=classes.yaml {set} --set train.steps={steps} --out run"
        ));
        bench
    }

    /// A run made of fresh weights of an architecture, as `ebm import` makes it: without data or names of classes.
    pub fn import(&self, name: &str, model: &str) {
        let file = self.path(&format!("{name}.yaml"));
        std::fs::write(&file, model).unwrap();
        let config: ebm::nn::NetworkConfig = ebm::config::yaml::load(&file).unwrap();
        let rng = &mut ebm::rng::Stream::new(1, "init");
        let network = ebm::nn::Network::new(&config, tch::Device::Cpu, rng).unwrap();
        let bytes = ebm::files::encode(&network.state().into_iter().collect()).unwrap();
        std::fs::write(self.path(&format!("{name}.safetensors")), bytes).unwrap();
        self.succeeds(&format!("import {name}.safetensors --model {name}.yaml --out {name}"));
    }

    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("tiny_model.yaml"), MODEL).unwrap();
        std::fs::write(dir.path().join("tiny_classifier.yaml"), NORMED).unwrap();
        std::fs::write(dir.path().join("tiny.yaml"), EXPERIMENT).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ebm` in this folder, with the words of `line` as arguments.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebm"));
        command.current_dir(self.dir.path()).args(line.split_whitespace());
        // What a user sees, whatever the environment of the tests asks for.
        command.env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs `ebm` and returns what it did.
    pub fn ebm(&self, line: &str) -> Output {
        self.command(line).output().expect("ebm starts")
    }

    /// Runs `ebm`, which must succeed; returns its stdout.
    pub fn succeeds(&self, line: &str) -> String {
        let out = self.ebm(line);
        assert!(
            out.status.success(),
            "ebm {line}: {:?}\n{}",
            out.status,
            text(&out.stderr)
        );
        text(&out.stdout)
    }

    /// Runs `ebm`, which must fail with `code`; returns its stderr, which names each of `mentions`.
    pub fn fails(&self, line: &str, code: i32, mentions: &[&str]) -> String {
        let out = self.ebm(line);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "ebm {line}\n{stderr}");
        for mention in mentions {
            assert!(stderr.contains(mention), "ebm {line}: `{mention}` is not in\n{stderr}");
        }
        stderr
    }

    /// Every file of a checkpoint; of the record all but the time it took.
    pub fn checkpoint(&self, run: &str, step: u64) -> BTreeMap<String, Vec<u8>> {
        read_checkpoint(&self.path(run).join(format!("checkpoints/step-{step}")))
    }
}

fn read_checkpoint(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: BTreeMap<String, Vec<u8>> = entries
        .map(|e| e.unwrap().path())
        .map(|p| {
            (
                p.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&p).unwrap(),
            )
        })
        .collect();
    let mut record: serde_json::Value = serde_json::from_slice(&files["state.json"]).unwrap();
    record["seconds"] = 0.into();
    files.insert("state.json".into(), record.to_string().into_bytes());
    // The manifest holds the checksum of the record with its time.
    files.remove("manifest.json");
    files
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
