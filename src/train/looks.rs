//! The looks of the quality monitor that a run has recorded, and which of them was the best.

use std::collections::BTreeMap;

use serde_json::Value;

use super::monitor::{self, Decider};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::report;
use crate::run::RunDir;
use crate::run::checkpoint::{self, Best};

/// The looks in metrics.jsonl.
pub struct Looks {
    decider: Decider,
    /// Every line of a look with its step, in the order in which they were made.
    all: Vec<(u64, Value)>,
    /// Those that no rollback has taken back, by step.
    valid: BTreeMap<u64, Value>,
}

impl Looks {
    /// Reads them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(run: &RunDir, e: &Experiment) -> Result<Self> {
        let (mut all, mut valid) = (Vec::new(), BTreeMap::new());
        for line in report::read_metrics(&run.metrics())? {
            let Some(step) = line["step"].as_u64() else { continue };
            if line["event"] == "rollback" {
                let to = line["to"].as_u64().unwrap_or(0);
                valid.retain(|step, _| *step <= to);
            } else if monitor::is_look(&line) {
                all.push((step, line.clone()));
                valid.insert(step, line);
            }
        }
        Ok(Self {
            decider: Decider::of(e),
            all,
            valid,
        })
    }

    /// Whether there is a look at a step.
    pub fn has(&self, step: u64) -> bool {
        self.valid.contains_key(&step)
    }

    /// What decided at a step, where a look at it found a number.
    pub fn at(&self, step: u64) -> Option<(String, f64)> {
        let value = self.decider.value(self.valid.get(&step)?)?;
        Some((self.decider.name(), value))
    }

    /// Makes best.json name the best checkpoint of a run that goes on from `step`: a kill may have
    /// come before it did, and a damaged one is made anew.
    ///
    /// # Errors
    /// When it is damaged and no look is recorded to make it from: what may be the best is not given up.
    pub fn settle_best(&self, run: &RunDir, step: u64) -> Result<()> {
        let stored = checkpoint::best(run);
        let trusted = stored.as_ref().ok().and_then(Option::as_ref).filter(|b| b.step <= step);
        let trusted = trusted.filter(|b| b.metric == self.decider.name() && self.confirms(b));
        let there = checkpoint::steps(run)?;
        let rest = self.valid.keys().filter(|s| **s <= step && there.contains(s));
        let rest = rest.filter(|s| trusted.is_none_or(|b| b.step != **s));
        let candidates = trusted
            .cloned()
            .into_iter()
            .chain(rest.filter_map(|s| self.candidate(*s)));
        let first_of_best = |a: Best, b: Best| if (b.value, a.step) > (a.value, b.step) { b } else { a };
        match (candidates.reduce(first_of_best), stored) {
            (Some(best), Ok(Some(stored))) if best == stored => Ok(()),
            (Some(best), _) => checkpoint::set_best(run, &best),
            (None, Ok(Some(stored))) if stored.step > step => checkpoint::clear_best(run),
            (None, stored) => stored.map(drop),
        }
    }

    fn candidate(&self, step: u64) -> Option<Best> {
        let (metric, value) = self.at(step)?;
        Some(Best { step, metric, value })
    }

    /// Whether a look found what the record says, or none at that step is known.
    fn confirms(&self, best: &Best) -> bool {
        let mut seen = self.all.iter().filter(|(step, _)| *step == best.step).peekable();
        seen.peek().is_none() || seen.any(|(_, line)| self.decider.value(line) == Some(best.value))
    }
}
