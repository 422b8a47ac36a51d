//! Mutated pictures and stacks through `ebm score` and `ebm train`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::common::Bench;
use super::pictures::{Claim, Mutant, Twins, mutant};
use super::plan::{Report, is_long, numbers};
use super::process::{Ended, watch};
use super::sources;

/// Scores by the name of the file, in the order of its images; and the errors that name it.
#[derive(Default)]
struct Found {
    scores: BTreeMap<String, Vec<Option<f64>>>,
    errors: BTreeMap<String, Vec<String>>,
}

#[test]
fn mutated_pictures_and_stacks_are_refused_or_scored_as_what_they_hold() {
    let sources = sources::all();
    let mut twins = Twins::default();
    let mutants: Vec<Mutant> = numbers(1000, 8, &[])
        .into_iter()
        .map(|n| mutant(n, &sources, &mut twins))
        .collect();
    let bench = Bench::new();
    bench.succeeds("train tiny.yaml --out run --set train.steps=2");
    let expected = expected(&bench, &twins);
    let mut report = Report::new("pictures");
    let all: Vec<&Mutant> = mutants.iter().collect();
    all.iter().for_each(|m| drop(put(&bench, m)));
    let found = score_all(&bench, &all, &mut report);
    let mut scored = BTreeSet::new();
    for m in &mutants {
        let file = bench.path("m").join(&m.name);
        match judge(m, &found, &expected) {
            Ok(None) => {
                report.accepted(m.kind);
                scored.insert(m.number);
            }
            Ok(Some(why)) => report.refused(m.kind, &why),
            Err(what) => report.fault(m.number, m.kind, &format!("{what}; {:?}", m.claim), &[&file]),
        }
    }
    let every = if is_long() { 20 } else { 160 };
    let some = mutants.iter().filter(|m| m.number % every == 0 || mutants.len() == 1);
    some.for_each(|m| train(&bench, m, scored.contains(&m.number), &mut report));
    report.finish();
}

fn put(bench: &Bench, m: &Mutant) -> PathBuf {
    let path = bench.path("m").join(&m.name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &m.bytes).unwrap();
    path
}

/// The score of each twin; different pictures must have different ones, or the comparison would see
/// nothing.
fn expected(bench: &Bench, twins: &Twins) -> BTreeMap<String, f64> {
    std::fs::create_dir(bench.path("twins")).unwrap();
    for (name, bytes) in &twins.0 {
        std::fs::write(bench.path("twins").join(name), bytes).unwrap();
    }
    let out = watch(&mut bench.command("score run twins --format jsonl"), 300);
    assert_eq!(out.status.code(), Some(0), "{}", out.stderr);
    let scores: BTreeMap<String, f64> = found(&out)
        .scores
        .into_iter()
        .map(|(name, scores)| (name, scores[0].unwrap()))
        .collect();
    assert_eq!(scores.len(), twins.0.len());
    let different: BTreeSet<u64> = scores.values().map(|s| s.to_bits()).collect();
    assert!(
        different.len() * 10 >= scores.len() * 9,
        "{} of {}",
        different.len(),
        scores.len()
    );
    scores
}

/// One process scores all. Where it ends as none may, each half gets one, down to the file that is
/// at fault.
fn score_all(bench: &Bench, mutants: &[&Mutant], report: &mut Report) -> Found {
    let mut command = bench.command("score run --format jsonl");
    command.args(mutants.iter().map(|m| format!("m/{}", m.name)));
    let out = watch(&mut command, 300);
    match (out.fault(), mutants) {
        (None, _) => {
            let found = found(&out);
            let code = if found.errors.is_empty() { 0 } else { 1 };
            assert_eq!(out.status.code(), Some(code), "{}", out.stderr);
            found
        }
        (Some(what), [one]) => {
            report.fault(one.number, one.kind, &what, &[&bench.path("m").join(&one.name)]);
            Found::default()
        }
        _ => {
            let (a, b) = mutants.split_at(mutants.len() / 2);
            let mut all = score_all(bench, a, report);
            let rest = score_all(bench, b, report);
            all.scores.extend(rest.scores);
            all.errors.extend(rest.errors);
            all
        }
    }
}

fn found(out: &Ended) -> Found {
    let mut found = Found::default();
    let base = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for line in out.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let scores = found.scores.entry(base(row["path"].as_str().unwrap())).or_default();
        assert_eq!(row["index"].as_u64(), Some(scores.len() as u64), "{line}");
        scores.push(row["energy"].as_f64());
    }
    for line in out.stderr.lines().filter_map(|l| l.strip_prefix("error: ")) {
        let (path, why) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("no file is named: {line}"));
        found.errors.entry(base(path)).or_default().push(why.to_owned());
    }
    found
}

/// Why it was refused, where it was; an error where what came of it is not what may.
fn judge(m: &Mutant, found: &Found, expected: &BTreeMap<String, f64>) -> Result<Option<String>, String> {
    let none = Vec::new();
    let scores = found.scores.get(&m.name).unwrap_or(&none);
    let errors = found.errors.get(&m.name).map_or(&[][..], Vec::as_slice);
    let twins = |names: &[String]| names.iter().map(|name| Some(expected[name])).collect::<Vec<_>>();
    match (scores.as_slice(), errors) {
        ([], [why]) => match m.claim {
            Claim::Exactly(_) => Err(format!("refused though it is whole: {why}")),
            _ => Ok(Some(why.clone())),
        },
        ([_, ..], []) if scores.iter().any(|s| !s.is_some_and(f64::is_finite)) => Err(format!("scored {scores:?}")),
        ([_, ..], []) => match &m.claim {
            Claim::Refused => Err(format!("scored {scores:?} though it is damaged")),
            Claim::Exactly(names) | Claim::RefusedOr(names) if !are_equal(scores, &twins(names)) => {
                Err(format!("scored {scores:?}, its images on their own {:?}", twins(names)))
            }
            _ => Ok(None),
        },
        _ => Err(format!("{} scores and {} errors", scores.len(), errors.len())),
    }
}

/// Whether scores differ by no more than rounding: in another batch the sums run in another order.
/// An addition of numbers below 1 is wrong by 2^-25 at most. The tiny network adds 9 times for each
/// of 64 features, weighs them by an eighth at most, and adds them.
fn are_equal(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
    const ROUNDING: f64 = (9.0 * 64.0 / 8.0 + 64.0) / 33_554_432.0;
    let near = |(a, b): (&Option<f64>, &Option<f64>)| (a.unwrap() - b.unwrap()).abs() <= ROUNDING;
    a.len() == b.len() && a.iter().zip(b).all(near)
}

/// A folder of whole pictures and the mutant, or the stack alone, is trained on where the mutant
/// was scored.
fn train(bench: &Bench, m: &Mutant, is_scored: bool, report: &mut Report) {
    let folder = bench.path(&format!("train-{}", m.number));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join(&m.name);
    std::fs::write(&file, &m.bytes).unwrap();
    let dataset = match file.extension().and_then(|e| e.to_str()) {
        Some("idx") => format!("{{idx: {{images: {}}}}}", file.display()),
        Some("npy") => format!("{{npy: {{images: {}}}}}", file.display()),
        // A stack under another name is no picture of a folder.
        _ if m.kind.starts_with("stack") => return,
        _ => {
            fill(&folder);
            format!("{{folder: {{path: {}}}}}", folder.display())
        }
    };
    let mut command =
        bench.command("train tiny.yaml --set train.steps=1 --set train.batch_size=2 --set evaluate.ood=[]");
    command.args(["--out", &format!("run-{}", m.number)]);
    command.args(["--set", &format!("data={{dataset: {dataset}}}")]);
    let out = watch(&mut command, 120);
    let is_trained = out.status.code() == Some(0);
    // Colours in a stack are another shape than the model's for training.
    let may_differ = m.kind.starts_with("stack") && is_scored;
    let what = match out.fault() {
        None if is_trained && !is_scored => Some("trained on what was not scored".into()),
        None if !is_trained && is_scored && !may_differ => {
            Some(format!("not trained on what was scored\n{}", out.stderr))
        }
        None if !is_trained => out.refusal_fault().or_else(|| unnamed(&out, &file)),
        fault => fault,
    };
    match what {
        Some(what) => report.fault(m.number, m.kind, &format!("train: {what}"), &[&folder]),
        None if is_trained => report.accepted("trained on"),
        None => report.refused(
            "trained on",
            out.error().unwrap_or_default().rsplit(": ").next().unwrap(),
        ),
    }
}

fn unnamed(out: &Ended, file: &Path) -> Option<String> {
    let is_named = out.stderr.contains(&file.display().to_string());
    (!is_named).then(|| format!("the error does not name the file\n{}", out.stderr))
}

/// Nineteen whole pictures.
fn fill(folder: &Path) {
    for i in 0..19 {
        let image = image::RgbImage::from_fn(8, 8, |x, y| {
            image::Rgb([(x * y + 13 * i) as u8, (9 * x) as u8, i as u8])
        });
        image.save(folder.join(format!("whole-{i:02}.png"))).unwrap();
    }
}
