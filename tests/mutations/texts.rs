//! Mutated YAML files: trees written out again, and text that was damaged.

use std::path::Path;

use serde_yaml::Value;

use super::bytes;
use super::plan::Dice;
use super::trees::{Way, change};

/// What may come of a file.
pub enum Claim {
    /// Accepted and loaded as what it says, or refused in words.
    Either,
    /// Accepted; where it is, the value at a place is this one.
    Set(Way, Value),
    /// The same experiment as the file that it was made of.
    Same,
    Refused,
}

/// A mutated YAML file.
pub struct Mutant {
    pub number: u64,
    pub kind: &'static str,
    pub bytes: Vec<u8>,
    /// The text that it was made of.
    pub source: String,
    pub claim: Claim,
}

impl Mutant {
    /// Whether reading it may end a process whatever it does about panics.
    pub fn is_risky(&self) -> bool {
        matches!(self.kind, "deep" | "aliases" | "long")
    }
}

/// The experiment and architecture files that are shipped, and the README's blocks.
pub fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["experiments", "models"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        paths.extend(
            entries
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "yaml")),
        );
    }
    paths.sort();
    let mut texts: Vec<String> = paths.iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```yaml\n").skip(1);
    texts.extend(blocks.map(|b| b[..b.find("```").unwrap()].to_owned()));
    assert!(texts.len() > 20, "{} files", texts.len());
    texts
}

/// The mutant of a number.
pub fn mutant(number: u64, sources: &[String]) -> Mutant {
    let dice = &mut Dice::new("yaml", number);
    let source = dice.pick(sources).clone();
    let (kind, bytes, claim) = match dice.below(100) {
        0..55 => tree(&source, dice),
        55..70 => damaged(&source, dice),
        70..80 => harmless(&source, dice),
        80..90 => lines(&source, dice),
        _ => structure(&source, dice),
    };
    Mutant {
        number,
        kind,
        bytes,
        source,
        claim,
    }
}

type Made = (&'static str, Vec<u8>, Claim);

fn tree(source: &str, dice: &mut Dice) -> Made {
    let mut root: Value = serde_yaml::from_str(source).unwrap();
    let mut done = change(&mut root, dice);
    if dice.below(4) == 0 {
        // Two changes; the second may undo what the first claims.
        done.set = None;
        change(&mut root, dice);
    }
    let claim = done.set.map_or(Claim::Either, |(way, value)| Claim::Set(way, value));
    (done.kind, serde_yaml::to_string(&root).unwrap().into_bytes(), claim)
}

fn damaged(source: &str, dice: &mut Dice) -> Made {
    let mut bytes = source.as_bytes().to_vec();
    bytes::hurt(&mut bytes, dice);
    ("bytes", bytes, Claim::Either)
}

/// Changes of the text that leave its meaning.
fn harmless(source: &str, dice: &mut Dice) -> Made {
    let text = match dice.below(6) {
        0 => format!("\u{feff}{source}"),
        1 => source.replace('\n', "\r\n"),
        2 => source.replace('\n', "\n\n# a remark: {[\n"),
        3 => format!("---\n{source}"),
        4 => format!("{source}...\n"),
        _ => source.replace('\n', "   \n"),
    };
    ("harmless", text.into_bytes(), Claim::Same)
}

const LITERALS: [&str; 13] = [
    "99999999999999999999999999",
    "18446744073709551616",
    "1e400",
    "-1e400",
    "1e-400",
    "0b11",
    "010",
    "+5",
    "5.",
    ".5",
    "1:30",
    "1,5",
    "5e0",
];

/// A line twice, away, with a number in another form, or at another depth.
fn lines(source: &str, dice: &mut Dice) -> Made {
    let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
    let used: Vec<usize> = (0..lines.len())
        .filter(|i| !lines[*i].trim_start().starts_with('#'))
        .collect();
    let i = *dice.pick(&used);
    match dice.below(7) {
        0 => lines.insert(i, lines[i].clone()),
        1 => drop(lines.remove(i)),
        2 => lines[i].insert_str(0, &" ".repeat(1 + dice.below(5))),
        3 => lines[i] = lines[i].trim_start().to_owned(),
        4 => lines[i].insert(0, '\t'),
        _ => {
            // A number as some read it and others do not.
            let key = lines[i]
                .split_once(": ")
                .map_or(lines[i].clone(), |(key, _)| key.to_owned());
            lines[i] = format!("{key}: {}", dice.pick(&LITERALS));
        }
    }
    ("lines", (lines.join("\n") + "\n").into_bytes(), Claim::Either)
}

/// What YAML has beside values: anchors, tags, documents; depth and length beyond sense.
fn structure(source: &str, dice: &mut Dice) -> Made {
    let deep = [50, 1_000, 100_000][dice.below(3)];
    let first = source
        .lines()
        .find(|l| l.contains(": ") && !l.starts_with(['#', ' ']))
        .unwrap_or("a: 1");
    let (key, value) = first.split_once(": ").unwrap();
    let with = |new: String| source.replacen(first, &new, 1).into_bytes();
    match dice.below(10) {
        0 => (
            "deep",
            with(format!("{key}: {}{}", "[".repeat(deep), "]".repeat(deep))),
            Claim::Refused,
        ),
        1 => (
            "deep",
            with(format!("{key}: {}1{}", "{a: ".repeat(deep), "}".repeat(deep))),
            Claim::Refused,
        ),
        2 => (
            "deep",
            with(format!("{key}:\n  {}1", "- ".repeat(deep))),
            Claim::Refused,
        ),
        3 => {
            let doubled: String = (1..40)
                .map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1))
                .collect();
            (
                "aliases",
                format!("a0: &a0 [1, 1]\n{doubled}{source}").into_bytes(),
                Claim::Refused,
            )
        }
        4 => ("anchors", with(format!("{key}: &x {value}")), Claim::Same),
        5 => ("anchors", with(format!("{key}: *x")), Claim::Refused),
        6 => ("anchors", with(format!("<<: {{zz: 1}}\n{first}")), Claim::Refused),
        7 => {
            let tags = ["!!str", "!!python/object:os.system", "!!binary", "!!int", "!x"];
            (
                "tags",
                with(format!("{key}: {} {value}", dice.pick(&tags))),
                Claim::Either,
            )
        }
        8 => (
            "documents",
            format!("{source}---\n{source}").into_bytes(),
            Claim::Refused,
        ),
        _ => ("long", with(format!("{key}: {}", "9".repeat(1 << 20))), Claim::Either),
    }
}
