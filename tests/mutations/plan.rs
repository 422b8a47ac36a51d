//! Which cases run, their randomness by number, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Numbers that follow from a subject and the number of a case (splitmix64), so that a case repeats
/// alone.
pub struct Dice(u64);

impl Dice {
    pub fn new(subject: &str, number: u64) -> Self {
        let key = subject
            .bytes()
            .fold(0xEB3u64, |h, b| h.wrapping_mul(257) ^ u64::from(b));
        let mut dice = Self(key ^ number.wrapping_mul(0xD134_2543_DE82_EF95));
        dice.next();
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// The numbers to run of `all` cases: each `stride`-th and those `once` at fault, all, or the one
/// of the environment.
pub fn numbers(all: u64, stride: usize, once: &[u64]) -> Vec<u64> {
    match std::env::var("EBM_MUTATIONS").as_deref() {
        Ok("long") => (0..all).collect(),
        Ok(number) => vec![number.parse().expect("EBM_MUTATIONS is `long` or the number of a case")],
        Err(_) => {
            let numbers: BTreeSet<u64> = (0..all).step_by(stride).chain(once.iter().copied()).collect();
            numbers.into_iter().collect()
        }
    }
}

/// Whether every case runs.
pub fn is_long() -> bool {
    std::env::var("EBM_MUTATIONS").as_deref() == Ok("long")
}

/// What became of all cases of a subject.
pub struct Report {
    subject: &'static str,
    /// By kind of mutation: accepted, refused.
    kinds: BTreeMap<String, [u64; 2]>,
    reasons: BTreeMap<String, u64>,
    faults: Vec<String>,
}

impl Report {
    pub fn new(subject: &'static str) -> Self {
        Self {
            subject,
            kinds: BTreeMap::new(),
            reasons: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    pub fn accepted(&mut self, kind: &str) {
        self.kinds.entry(kind.to_owned()).or_default()[0] += 1;
    }

    pub fn refused(&mut self, kind: &str, why: &str) {
        self.kinds.entry(kind.to_owned()).or_default()[1] += 1;
        *self.reasons.entry(gist(why)).or_default() += 1;
    }

    /// A case that did what must not be; its files are kept.
    pub fn fault(&mut self, number: u64, kind: &str, what: &str, files: &[&Path]) {
        let kept = keep(self.subject, number, files);
        let fault = format!("{} {number} ({kind}): {what}\n  kept: {}", self.subject, kept.display());
        println!("FAULT {fault}");
        self.faults.push(fault);
    }

    /// Prints the figures; panics where there was a fault.
    pub fn finish(self) {
        let sum = |i: usize| self.kinds.values().map(|counts| counts[i]).sum::<u64>();
        println!(
            "\n{}: {} accepted, {} refused, {} faults",
            self.subject,
            sum(0),
            sum(1),
            self.faults.len()
        );
        for (kind, [accepted, refused]) in &self.kinds {
            println!("  {kind:<24} {accepted:>5} accepted {refused:>5} refused");
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(why, n)| (std::cmp::Reverse(**n), (*why).clone()));
        println!("  refused because:");
        for (why, n) in reasons.iter().take(25) {
            println!("  {n:>5}  {why}");
        }
        let rest: u64 = reasons.iter().skip(25).map(|(_, n)| **n).sum();
        println!("  {rest:>5}  for other reasons");
        assert!(
            self.faults.is_empty(),
            "{} faults; repeat one by EBM_MUTATIONS=NUMBER:\n{}",
            self.faults.len(),
            self.faults.join("\n")
        );
    }
}

/// The beginning of a reason without its numbers and names, so that like ones count together.
fn gist(why: &str) -> String {
    let mut out = String::new();
    for c in why.chars().take(80) {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            '\n' => break,
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// Copies files to where cargo lets tests write, under the case's subject and number.
fn keep(subject: &str, number: u64, files: &[&Path]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{subject}-{number}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for file in files {
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([*file, &folder])
            .status();
        assert!(copied.unwrap().success(), "{}", file.display());
    }
    folder
}
