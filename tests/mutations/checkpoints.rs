//! Damaged and forged runs through `ebm score`, `ebm sample` and `ebm train --resume`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::checkpoint_cases::{CASES, Claim, Site, drawn};
use super::common::Bench;
use super::forge;
use super::plan::{Dice, Report, numbers};
use super::process::{Ended, watch};

/// The learning rate must not depend on `train.steps`, or a longer run is another run.
const TRAIN: &str = "train tiny.yaml --set optimizer.schedule=constant --set evaluate.every=10";
const STEPS: [u64; 3] = [10, 20, 30];

/// A whole run, and what each of its checkpoints gives.
struct World {
    bench: Bench,
    /// By step: the table of `ebm score`.
    scores: BTreeMap<u64, String>,
    samples: BTreeMap<u64, Vec<u8>>,
    best: u64,
    /// The checkpoint of step 40, after going on.
    end: BTreeMap<String, Vec<u8>>,
}

#[test]
fn damaged_and_forged_checkpoints_give_what_was_written_or_an_error() {
    let numbers = numbers(100, 50, &[2, 20, 59, 61]);
    let world = World::new();
    let mut report = Report::new("checkpoints");
    for number in numbers {
        world.case(number, &mut report);
    }
    report.finish();
}

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        fs::create_dir(bench.path("pictures")).unwrap();
        for i in 0..6 {
            let level = |x: u32, y: u32| image::Luma([(x * y + 40 * i + 7 * x) as u8]);
            let name = bench.path(&format!("pictures/{i}.png"));
            image::GrayImage::from_fn(8, 8, level).save(name).unwrap();
        }
        bench.succeeds(&format!("{TRAIN} --out base --set train.steps=30"));
        let score = |step: u64| bench.succeeds(&format!("score base pictures --checkpoint {step}"));
        let sample = |step: u64| {
            bench.succeeds(&format!(
                "sample base -n 4 --steps 2 --checkpoint {step} --out base.npy"
            ));
            fs::read(bench.path("base.npy")).unwrap()
        };
        let scores: BTreeMap<u64, String> = STEPS.iter().map(|step| (*step, score(*step))).collect();
        assert!(scores[&10] != scores[&20] && scores[&20] != scores[&30], "{scores:?}");
        let samples = STEPS[1..].iter().map(|step| (*step, sample(*step))).collect();
        let best = fs::read(bench.path("base/checkpoints/best.json")).unwrap();
        let best: serde_json::Value = serde_json::from_slice(&best).unwrap();
        copy(&bench.path("base"), &bench.path("whole"));
        bench.succeeds(&format!("{TRAIN} --out whole --resume --set train.steps=40"));
        let newest = bench.path("base/checkpoints/step-30");
        let manifest = fs::read(newest.join("manifest.json")).unwrap();
        forge::reseal(&newest);
        assert!(
            fs::read(newest.join("manifest.json")).unwrap() == manifest,
            "the seal is made in another way"
        );
        Self {
            end: bench.checkpoint("whole", 40),
            best: best["step"].as_u64().unwrap(),
            scores,
            samples,
            bench,
        }
    }

    fn case(&self, number: u64, report: &mut Report) {
        let folder = self.bench.path(&format!("case-{number}"));
        let site = Site {
            run: folder.join("run"),
            outside: folder.join("outside"),
        };
        fs::create_dir_all(&site.outside).unwrap();
        fs::write(site.outside.join("foreign"), "of somebody else").unwrap();
        copy(&self.bench.path("base"), &site.run);
        let dice = &mut Dice::new("checkpoints", number);
        let (kind, claim) = match CASES.get(number as usize) {
            Some((kind, claim, change)) => {
                change(&site, dice);
                ((*kind).to_owned(), *claim)
            }
            None => drawn(&site, dice),
        };
        let before = snapshot(&site.outside);
        for (command, fault) in self.commands(number, &site, claim) {
            let fault = fault.and_then(|ended| match snapshot(&site.outside) == before {
                true => Ok(ended),
                false => Err("a file outside of the run was changed".into()),
            });
            match fault {
                Ok(None) => report.accepted(command),
                Ok(Some(why)) => report.refused(command, &why),
                Err(what) => report.fault(number, &kind, &format!("{command}: {what}"), &[&folder]),
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }

    /// What each command made of it: nothing where it gave what was written, the error where it
    /// refused.
    fn commands(&self, number: u64, site: &Site, claim: Claim) -> Vec<(&'static str, Result<Option<String>, String>)> {
        let run = site
            .run
            .strip_prefix(self.bench.dir.path())
            .unwrap()
            .display()
            .to_string();
        let ebm = |line: String| watch(&mut self.bench.command(&line), 60);
        let mut done = vec![("score", self.score(&ebm(format!("score {run} pictures")), claim))];
        if number.is_multiple_of(2) {
            let out = ebm(format!("sample {run} -n 4 --steps 2 --out {run}.npy"));
            let made = fs::read(self.bench.path(&format!("{run}.npy"))).unwrap_or_default();
            done.push(("sample", self.judge(&out, &made, &self.samples, claim)));
        } else {
            let out = ebm(format!("score {run} pictures --checkpoint best"));
            let of_best = |table: &String| *table == out.stdout;
            let is_said = out.stderr.contains("warning: ") && claim == Claim::Said;
            let judged = match refused(&out) {
                Ok(None) if !of_best(&self.scores[&self.best]) && !is_said => {
                    Err(format!("other scores\n{}", out.stderr))
                }
                judged => judged,
            };
            done.push(("score best", judged));
        }
        let out = ebm(format!("{TRAIN} --out {run} --resume --set train.steps=40"));
        let judged = refused(&out).and_then(|judged| match judged {
            None if self.bench.checkpoint(&run, 40) != self.end => Err(format!("another end\n{}", out.stderr)),
            judged => Ok(judged),
        });
        done.push(("train --resume", judged));
        done
    }

    fn score(&self, out: &Ended, claim: Claim) -> Result<Option<String>, String> {
        self.judge(out, &out.stdout, &self.scores, claim)
    }

    /// The result of step 30; with a word of what was passed over that of an earlier one.
    fn judge<T: PartialEq<U>, U>(
        &self,
        out: &Ended,
        made: &U,
        known: &BTreeMap<u64, T>,
        claim: Claim,
    ) -> Result<Option<String>, String> {
        let judged = refused(out)?;
        if judged.is_some() {
            return Ok(judged);
        }
        let step = known
            .iter()
            .rev()
            .find(|(_, result)| **result == *made)
            .map(|(step, _)| *step);
        let is_passed_over = out.stderr.contains("passed over");
        match step {
            Some(30) if claim != Claim::Damaged => Ok(None),
            Some(30) => Err(format!("what is damaged was used\n{}", out.stderr)),
            Some(_) if is_passed_over => Ok(None),
            None if claim == Claim::Said && out.stderr.contains("warning: ") => Ok(None),
            Some(step) => Err(format!("the result of step {step}, and no word of it\n{}", out.stderr)),
            None => Err(format!("the result of no checkpoint\n{}", out.stderr)),
        }
    }
}

/// The error of a command that refused, none where it did its work.
fn refused(out: &Ended) -> Result<Option<String>, String> {
    if let Some(what) = out.fault() {
        return Err(what);
    }
    if out.status.success() {
        return Ok(None);
    }
    match out.refusal_fault() {
        Some(what) => Err(what),
        None => Ok(Some(
            out.error()
                .unwrap()
                .split_once(": ")
                .map_or("", |(_, why)| why)
                .to_owned(),
        )),
    }
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

/// Every file below a folder with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}
