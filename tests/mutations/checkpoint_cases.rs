//! Ways in which the folder of a run can be damaged or forged.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::bytes::hurt;
use super::forge;
use super::plan::Dice;

/// A run with checkpoints of steps 10, 20 and 30, and a folder beside it that no command may touch.
pub struct Site {
    pub run: PathBuf,
    pub outside: PathBuf,
}

impl Site {
    fn step(&self, step: u64) -> PathBuf {
        self.run.join(format!("checkpoints/step-{step}"))
    }

    fn newest(&self) -> PathBuf {
        self.step(30)
    }

    /// Puts a link in the place of a file or folder, whose content is outside from then on.
    fn link(&self, name: &str) {
        let (inside, target) = (self.run.join(name), self.outside.join("linked"));
        if inside.exists() {
            move_to(&inside, &target);
        }
        // What is emptied must have been something.
        if fs::metadata(&target).map_or(true, |file| file.len() == 0) {
            fs::write(&target, "of somebody else").unwrap();
        }
        symlink(&target, &inside).unwrap();
    }
}

fn move_to(from: &Path, to: &Path) {
    assert!(Command::new("mv").args([from, to]).status().unwrap().success());
}

fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

fn fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What must not come of the checkpoint of step 30.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// It is not what was written: the one before is used, or none.
    Damaged,
    /// It is whole, or known not to be.
    Either,
    /// Another configuration than the run's is sealed in it, or lies beside it: that is said.
    Said,
}

use Claim::{Damaged, Either, Said};

/// A name, what must not come of it, and what is done to the run.
pub type Case = (&'static str, Claim, fn(&Site, &mut Dice));

/// The files of tensors of a checkpoint.
const TENSORS: [&str; 5] = ["weights", "ema", "optimizer", "buffer", "meters"];

/// The forged and the damaged ones that are known by name; what comes after them is drawn.
pub const CASES: [Case; 65] = [
    ("weights that are no numbers", Damaged, |s, _| nan(s, "weights")),
    ("averages that are no numbers", Damaged, |s, _| nan(s, "ema")),
    ("moments that are no numbers", Either, |s, _| nan(s, "optimizer")),
    ("chains that are no numbers", Either, |s, _| nan(s, "buffer")),
    ("weights of another shape", Damaged, |s, _| {
        forge::tensors(&s.newest(), "weights.safetensors", |t| {
            t.values_mut().for_each(|v| *v = v.unsqueeze(0));
        });
    }),
    ("weights of another kind", Damaged, |s, _| {
        forge::tensors(&s.newest(), "weights.safetensors", |t| {
            t.values_mut().for_each(|v| *v = v.to_kind(tch::Kind::Half));
        });
    }),
    ("a weight too few", Damaged, |s, _| {
        forge::tensors(&s.newest(), "weights.safetensors", |t| drop(t.pop_first()));
    }),
    ("a weight too many", Damaged, |s, _| {
        forge::tensors(&s.newest(), "weights.safetensors", |t| {
            let first = t.values().next().unwrap().copy();
            t.insert("extra.weight".into(), first);
        });
    }),
    ("a head of tensors beyond the file", Damaged, |s, _| {
        head_of_tensors(s, |head| head.splice(0..8, u64::MAX.to_le_bytes()).for_each(drop));
    }),
    ("offsets of tensors that lie", Damaged, |s, dice| {
        head_of_tensors(s, |head| {
            let digits: Vec<usize> = (9..head.len().min(600)).filter(|i| head[*i].is_ascii_digit()).collect();
            head[*dice.pick(&digits)] ^= 1;
        });
    }),
    ("lr_scale -1", Either, |s, _| {
        forge::record(&s.newest(), "/lr_scale", json!(-1.0))
    }),
    ("lr_scale 0", Either, |s, _| {
        forge::record(&s.newest(), "/lr_scale", json!(0.0))
    }),
    ("lr_scale 2", Either, |s, _| {
        forge::record(&s.newest(), "/lr_scale", json!(2.0))
    }),
    ("lr_scale 1e308", Either, |s, _| {
        forge::record(&s.newest(), "/lr_scale", json!(1e308))
    }),
    ("seconds -5", Either, |s, _| {
        forge::record(&s.newest(), "/seconds", json!(-5.0))
    }),
    ("meters beyond the steps", Either, |s, _| {
        forge::record(&s.newest(), "/meters", json!(1_000_000))
    }),
    ("images of another set", Either, |s, _| {
        forge::record(&s.newest(), "/batches/images", json!(7))
    }),
    ("images -1", Either, |s, _| {
        forge::record(&s.newest(), "/batches/images", json!(-1))
    }),
    ("position -1", Either, |s, _| {
        forge::record(&s.newest(), "/batches/position", json!(-1))
    }),
    ("position beyond the images", Either, |s, _| {
        forge::record(&s.newest(), "/batches/position", json!(1u64 << 40))
    }),
    ("epoch beyond the steps", Either, |s, _| {
        forge::record(&s.newest(), "/batches/epoch", json!(u64::MAX))
    }),
    ("suspicious beyond the steps", Either, |s, _| {
        forge::record(&s.newest(), "/guard/suspicious", json!(u32::MAX));
    }),
    ("norms that are negative", Either, |s, _| {
        forge::record(&s.newest(), "/guard/norms", json!([-1.0, -2.0]))
    }),
    ("streams that are none", Either, |s, _| {
        forge::record(&s.newest(), "/streams", json!({}))
    }),
    ("a record that is deep", Either, |s, _| {
        forge::text(&s.newest(), "state.json", |_| "[".repeat(200_000));
    }),
    ("another step", Damaged, |s, _| step(s, "29")),
    ("a step beyond all", Damaged, |s, _| step(s, "18446744073709551615")),
    ("a step below zero", Damaged, |s, _| step(s, "-1")),
    ("another format", Damaged, |s, _| {
        forge::manifest(&s.newest(), |text| text.replacen("\"format\": ", "\"format\": 77", 1));
    }),
    ("a name that leads out", Damaged, |s, _| {
        fs::rename(
            s.newest().join("meters.safetensors"),
            s.outside.join("meters.safetensors"),
        )
        .unwrap();
        forge::manifest(&s.newest(), |text| {
            text.replace("meters.safetensors", "../../../outside/meters.safetensors")
        });
    }),
    ("a name from the root", Damaged, |s, _| {
        fs::rename(s.newest().join("ema.safetensors"), s.outside.join("ema.safetensors")).unwrap();
        let away = s.outside.join("ema.safetensors").display().to_string();
        forge::manifest(&s.newest(), |text| text.replace("ema.safetensors", &away));
    }),
    ("no averages", Damaged, |s, _| {
        forge::without(&s.newest(), "ema.safetensors")
    }),
    ("no weights", Damaged, |s, _| {
        forge::without(&s.newest(), "weights.safetensors")
    }),
    ("no moments", Either, |s, _| {
        forge::without(&s.newest(), "optimizer.safetensors")
    }),
    ("no record", Damaged, |s, _| forge::without(&s.newest(), "state.json")),
    ("no configuration", Either, |s, _| {
        forge::without(&s.newest(), "resolved.yaml")
    }),
    ("a file too many", Either, |s, _| {
        forge::with(&s.newest(), "extra.safetensors", b"12345678{}")
    }),
    ("another activation, sealed", Said, |s, _| {
        forge::text(&s.newest(), "resolved.yaml", |text| text.replace("silu", "relu"));
    }),
    ("no average asked for, sealed", Said, |s, _| {
        forge::text(&s.newest(), "resolved.yaml", |text| {
            text.replace("ema: 0.99", "ema: null")
        });
    }),
    ("another activation in the run", Said, |s, _| {
        root(s, |text| text.replace("silu", "relu"))
    }),
    ("no average asked for in the run", Said, |s, _| {
        root(s, |text| text.replace("ema: 0.99", "ema: null"))
    }),
    ("half a configuration", Said, |s, _| {
        root(s, |text| text[..text.len() / 2].to_owned())
    }),
    ("no configuration in the run", Said, |s, _| {
        fs::remove_file(s.run.join("resolved.yaml")).unwrap()
    }),
    ("two folders that changed names", Damaged, |s, _| {
        fs::rename(s.step(30), s.step(99)).unwrap();
        fs::rename(s.step(20), s.step(30)).unwrap();
        fs::rename(s.step(99), s.step(20)).unwrap();
    }),
    ("a folder of a later name", Damaged, |s, _| {
        fs::rename(s.step(30), s.step(300)).unwrap()
    }),
    ("an early folder under a later name", Either, |s, _| {
        copy(&s.step(10), &s.step(40))
    }),
    ("the weights of another step", Damaged, |s, _| {
        fs::copy(
            s.step(20).join("weights.safetensors"),
            s.newest().join("weights.safetensors"),
        )
        .unwrap();
    }),
    ("the manifest of another step", Damaged, |s, _| {
        fs::copy(s.step(20).join("manifest.json"), s.newest().join("manifest.json")).unwrap();
    }),
    ("half a best.json", Either, |s, _| {
        best(s, |text| text[..text.len() / 2].to_owned())
    }),
    ("a best step that is not there", Either, |s, _| {
        best(s, |_| r#"{"step": 25, "metric": "auroc", "value": 1}"#.into())
    }),
    ("a best value that is none", Either, |s, _| {
        best(s, |_| r#"{"step": 10, "metric": "auroc", "value": null}"#.into())
    }),
    ("weights that are a link", Either, |s, _| {
        s.link("checkpoints/step-30/weights.safetensors")
    }),
    ("a checkpoint that is a link", Either, |s, _| {
        s.link("checkpoints/step-30")
    }),
    ("checkpoints that are a link", Either, |s, _| s.link("checkpoints")),
    ("samples that are a link", Either, |s, _| s.link("samples")),
    ("a lock that is a link", Either, |s, _| s.link("lock")),
    ("metrics that are a link", Either, |s, _| s.link("metrics.jsonl")),
    ("a step to come that is a link", Either, |s, _| {
        s.link("checkpoints/.step-40")
    }),
    ("a configuration to come that is a link", Either, |s, _| {
        s.link("resolved.yaml.tmp")
    }),
    ("a record that is a pipe", Damaged, |s, _| {
        fifo(&s.newest().join("state.json"))
    }),
    ("a configuration that is a pipe", Said, |s, _| {
        fifo(&s.run.join("resolved.yaml"))
    }),
    ("a best.json that is a pipe", Either, |s, _| {
        fifo(&s.run.join("checkpoints/best.json"));
    }),
    ("metrics that are a pipe", Either, |s, _| {
        fifo(&s.run.join("metrics.jsonl"))
    }),
    ("a record of the data that is a pipe", Either, |s, _| {
        fifo(&s.run.join("data.json"))
    }),
    ("a manifest without end", Damaged, |s, _| {
        fs::remove_file(s.newest().join("manifest.json")).unwrap();
        symlink("/dev/zero", s.newest().join("manifest.json")).unwrap();
    }),
];

fn nan(s: &Site, stem: &str) {
    forge::tensors(&s.newest(), &format!("{stem}.safetensors"), |tensors| {
        for tensor in tensors.values_mut().filter(|t| t.is_floating_point()) {
            *tensor = tensor.full_like(f64::NAN);
        }
    });
}

fn head_of_tensors(s: &Site, change: impl FnOnce(&mut Vec<u8>)) {
    let path = s.newest().join("weights.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    forge::reseal(&s.newest());
}

fn step(s: &Site, step: &str) {
    forge::manifest(&s.newest(), |text| {
        text.replacen("\"step\": 30", &format!("\"step\": {step}"), 1)
    });
}

fn root(s: &Site, change: impl FnOnce(String) -> String) {
    let path = s.run.join("resolved.yaml");
    let old = fs::read_to_string(&path).unwrap();
    let new = change(old.clone());
    assert_ne!(new, old, "nothing was changed");
    fs::write(path, new).unwrap();
}

fn best(s: &Site, change: impl FnOnce(String) -> String) {
    let path = s.run.join("checkpoints/best.json");
    let old = fs::read_to_string(&path).unwrap();
    fs::write(path, change(old)).unwrap();
}

/// A drawn file of the run, hurt in a drawn way; and what may come of step 30.
pub fn drawn(s: &Site, dice: &mut Dice) -> (String, Claim) {
    let of_step = |step: u64, stem: &str| format!("checkpoints/step-{step}/{stem}.safetensors");
    let mut names: Vec<(String, Claim)> = TENSORS.iter().map(|stem| (of_step(30, stem), Damaged)).collect();
    names.extend(TENSORS.iter().map(|stem| (of_step(20, stem), Either)));
    for (name, claim) in [
        ("checkpoints/step-30/state.json", Damaged),
        ("checkpoints/step-30/resolved.yaml", Damaged),
        ("checkpoints/step-30/manifest.json", Either),
        ("checkpoints/best.json", Either),
        ("resolved.yaml", Said),
        ("config.yaml", Either),
        ("data.json", Either),
        ("metrics.jsonl", Either),
    ] {
        names.push((name.into(), claim));
    }
    let (name, claim) = dice.pick(&names).clone();
    let path = s.run.join(&name);
    let whole = fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut bytes = whole.clone();
    while bytes == whole {
        hurt(&mut bytes, dice);
    }
    fs::write(path, bytes).unwrap();
    (name, claim)
}
