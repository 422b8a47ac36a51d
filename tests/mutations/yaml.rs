//! Mutated YAML files through the library, in a child, and through `ebm check`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ebm::Error;
use ebm::config::yaml;
use ebm::experiment::Experiment;
use ebm::models::ModelConfig;
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::plan::{Report, is_long, numbers};
use super::process::watch;
use super::texts::{Claim, Mutant, mutant, sources};
use super::trees::at;

const TEST: &str = "yaml::mutated_yaml_files_are_refused_in_words_or_mean_what_they_say";

/// In the environment of a child: the folder of its files.
const CHILD: &str = "EBM_MUTATIONS_CHILD";

/// So many files go to one child, which may take minutes for them on a busy machine.
const AT_ONCE: usize = 250;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Outcome {
    Begun,
    Accepted,
    Refused(String),
    Fault(String),
}

#[test]
fn mutated_yaml_files_are_refused_in_words_or_mean_what_they_say() {
    let sources = sources();
    if let Ok(folder) = std::env::var(CHILD) {
        return child(Path::new(&folder), &sources);
    }
    let numbers = numbers(1000, 10, &[295]);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sources")).unwrap();
    let mutants: Vec<Mutant> = numbers.iter().map(|n| mutant(*n, &sources)).collect();
    for m in &mutants {
        fs::write(file(dir.path(), m.number), &m.bytes).unwrap();
        fs::write(source_file(dir.path(), m.number), &m.source).unwrap();
    }
    let mut report = Report::new("yaml");
    let calm: Vec<u64> = mutants.iter().filter(|m| !m.is_risky()).map(|m| m.number).collect();
    let outcomes: BTreeMap<u64, Outcome> = calm
        .chunks(AT_ONCE)
        .flat_map(|some| in_children(dir.path(), some))
        .collect();
    let every = if is_long() { 5 } else { 200 };
    for m in &mutants {
        let found = outcomes.get(&m.number);
        let of_binary = match found {
            Some(_) if m.number % every != 0 => None,
            found => Some(check(m, dir.path(), found)),
        };
        note(m, dir.path(), found.cloned(), &mut report);
        note(m, dir.path(), of_binary, &mut report);
    }
    report.finish();
}

fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("case-{number:04}.yaml"))
}

/// An experiment without a name is called as its file is, so both have one name.
fn source_file(folder: &Path, number: u64) -> PathBuf {
    file(&folder.join("sources"), number)
}

fn note(m: &Mutant, folder: &Path, outcome: Option<Outcome>, report: &mut Report) {
    match outcome {
        None => {}
        Some(Outcome::Accepted) => report.accepted(m.kind),
        Some(Outcome::Refused(why)) => report.refused(m.kind, &why),
        Some(Outcome::Begun) => unreachable!("a case that was begun has an end"),
        Some(Outcome::Fault(what)) => report.fault(m.number, m.kind, &what, &[&file(folder, m.number)]),
    }
}

/// Lets this test's own program read the files, since what one of them does may end it.
fn in_children(folder: &Path, numbers: &[u64]) -> Vec<(u64, Outcome)> {
    let mut all = Vec::new();
    while all.len() < numbers.len() {
        let todo: Vec<String> = numbers[all.len()..].iter().map(u64::to_string).collect();
        fs::write(folder.join("todo"), todo.join("\n")).unwrap();
        fs::write(folder.join("log"), "").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--nocapture"]).env(CHILD, folder);
        let out = watch(&mut command, 300);
        let log = fs::read_to_string(folder.join("log")).unwrap();
        let lines = log.lines().map(|l| serde_json::from_str::<(u64, Outcome)>(l).unwrap());
        let (begun, ended): (Vec<_>, Vec<_>) = lines.partition(|(_, outcome)| matches!(outcome, Outcome::Begun));
        let is_stuck = begun.len() > ended.len();
        all.extend(ended);
        match begun.last() {
            Some((number, _)) if is_stuck => {
                let what = out.fault().unwrap_or_else(|| format!("ended: {}", out.status));
                all.push((*number, Outcome::Fault(what)));
            }
            Some(_) => {}
            None => panic!("the child read no file: {}\n{}\n{}", out.status, out.stdout, out.stderr),
        }
    }
    all
}

fn child(folder: &Path, sources: &[String]) {
    let mut log = File::options().append(true).open(folder.join("log")).unwrap();
    let mut say = |number: u64, outcome: Outcome| {
        writeln!(log, "{}", serde_json::to_string(&(number, outcome)).unwrap()).unwrap();
    };
    for number in fs::read_to_string(folder.join("todo")).unwrap().lines() {
        let number = number.parse().unwrap();
        say(number, Outcome::Begun);
        let m = mutant(number, sources);
        let read = || by_library(&m, &file(folder, number), &source_file(folder, number));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        say(number, outcome.unwrap_or_else(|_| Outcome::Fault("panics".into())));
    }
}

#[derive(Debug, PartialEq)]
enum Loaded {
    Model(Box<ModelConfig>),
    Experiment(Box<Experiment>),
}

impl Loaded {
    /// As `ebm check` loads it.
    fn load(text: &str, path: &Path) -> ebm::Result<Self> {
        let tree = yaml::parse(text, path)?;
        if ModelConfig::is_in(&tree) {
            let model: ModelConfig = yaml::typed(tree, path)?;
            model.describe(path)?;
            return Ok(Self::Model(Box::new(model)));
        }
        let mut experiment = Experiment::from_text(text, path, &[])?;
        experiment.model.describe(path)?;
        // How a file was read is no part of what it says.
        experiment.notices.clear();
        Ok(Self::Experiment(Box::new(experiment)))
    }

    fn text(&self) -> String {
        match self {
            Self::Model(model) => yaml::to_text(model),
            Self::Experiment(experiment) => yaml::to_text(experiment),
        }
    }

    fn tree(&self) -> Value {
        match self {
            Self::Model(model) => yaml::to_value(model),
            Self::Experiment(experiment) => yaml::to_value(experiment),
        }
    }
}

fn by_library(m: &Mutant, path: &Path, source: &Path) -> Outcome {
    let loaded = yaml::read(path).and_then(|text| Loaded::load(&text, path));
    let fault = match &loaded {
        Ok(_) if matches!(m.claim, Claim::Refused) => Some("accepted".to_owned()),
        Ok(loaded) => misread(m, loaded, path, source),
        Err(e) if matches!(m.claim, Claim::Same) => Some(format!("refused: {e}")),
        Err(e) => ill_worded(e, path),
    };
    match (fault, loaded) {
        (Some(what), _) => Outcome::Fault(what),
        (None, Ok(_)) => Outcome::Accepted,
        (None, Err(Error::Config { what, .. } | Error::Input { what, .. })) => Outcome::Refused(what),
        (None, Err(e)) => Outcome::Fault(format!("not an error of input: {e}")),
    }
}

/// How an accepted file is not what it says.
fn misread(m: &Mutant, loaded: &Loaded, path: &Path, source: &Path) -> Option<String> {
    match Loaded::load(&loaded.text(), path) {
        Ok(again) if again == *loaded => {}
        Ok(_) => return Some(format!("its resolved text is another experiment:\n{}", loaded.text())),
        Err(e) => return Some(format!("its resolved text is refused: {e}")),
    }
    match &m.claim {
        Claim::Same => {
            let whole = Loaded::load(&m.source, source).expect("the shipped files are accepted");
            (whole != *loaded).then(|| "is another experiment than the file that it was made of".into())
        }
        Claim::Set(way, value) => {
            let mut tree = loaded.tree();
            let found = at(&mut tree, way)?;
            let differs = match (&*found, value) {
                (Value::Number(a), Value::Number(b)) => a.as_f64() != b.as_f64(),
                (Value::Bool(a), Value::Bool(b)) => a != b,
                (Value::String(a), Value::String(b)) => a != b && !b.is_empty(),
                _ => false,
            };
            differs.then(|| format!("{} is {found:?}, the file says {value:?}", way.join(".")))
        }
        Claim::Either | Claim::Refused => None,
    }
}

/// What is wrong with an error: the file, the key and a remedy must be there once, and nothing that
/// a terminal obeys.
fn ill_worded(e: &Error, path: &Path) -> Option<String> {
    let text = e.to_string();
    let fault = |what: &str| Some(format!("{what}: {text:?}"));
    if let Error::Config { key, what, .. } = e {
        let has_none = ["not valid YAML", "missing field", "unknown key", "invalid type"];
        if key.is_empty() && what.starts_with("invalid value") && !has_none.iter().any(|w| what.contains(w)) {
            return fault("no key is named");
        }
    }
    let is_named = text.contains(&path.display().to_string()) || matches!(e, Error::Input { .. });
    if !is_named || text.matches("remedy: ").count() != 1 {
        return fault("no file or no remedy is named");
    }
    let is_obeyed =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(is_obeyed) || text.lines().any(|l| l.starts_with("error: ")) {
        return fault("words from the file are not escaped");
    }
    None
}

/// The file through the program, which must agree with the library.
fn check(m: &Mutant, folder: &Path, found: Option<&Outcome>) -> Outcome {
    let path = file(folder, m.number);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebm"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("RUST_BACKTRACE");
    let out = watch(command.args(["check", "--file-only"]).arg(&path), 60);
    let is_accepted = out.status.code() == Some(0);
    let fault = match out.fault() {
        None if is_accepted && matches!(found, Some(Outcome::Refused(_))) => {
            Some("accepted by the program alone".into())
        }
        None if is_accepted && matches!(m.claim, Claim::Refused) => Some("accepted".into()),
        None if !is_accepted && matches!(m.claim, Claim::Same) => Some(format!("refused\n{}", out.stderr)),
        None if !is_accepted && out.status.code() != Some(2) => Some(format!("{}\n{}", out.status, out.stderr)),
        None if !is_accepted => out.refusal_fault(),
        fault => fault,
    };
    match fault {
        Some(what) => Outcome::Fault(format!("ebm check: {what}")),
        None if is_accepted => Outcome::Accepted,
        None => Outcome::Refused(out.error().unwrap().replace(&format!("{}: ", path.display()), "")),
    }
}
