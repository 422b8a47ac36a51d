//! Which keys of a run may change when it is resumed, and which changes are refused.

use std::path::Path;

use serde_yaml::Value;

use super::Experiment;
use crate::config::yaml;
use crate::error::Result;
use crate::models::{Layout, Precision};

/// Keys (or whole sections) that may change on resume: none of them alters the steps already taken.
pub const MAY_CHANGE: [&str; 15] = [
    "name",
    "device",
    "threads",
    "train.steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep",
    "report",
    "evaluate",
    // Where images lie. What they are is recorded with the run, and held against it.
    "data.root",
    "data.dataset.folder.path",
    "data.dataset.folder.test",
    "data.dataset.npy",
    "data.dataset.idx",
    // Where the run lies whose model is the noise; its weights are recorded in the same way.
    "objective.nce.noise.run.path",
];

impl Experiment {
    /// Takes over what the run chose by itself where this experiment leaves the choice open.
    pub fn adopt(&mut self, stored: &Experiment) {
        if self.device == "auto" {
            self.device.clone_from(&stored.device);
        }
        self.threads = self.threads.or(stored.threads);
        if self.compute.precision == Precision::Auto {
            self.compute.precision = stored.compute.precision;
        }
        if self.compute.layout == Layout::Auto {
            self.compute.layout = stored.compute.layout;
        }
        if let (Some(own), Some(stored)) = (self.objective.base_mut(), stored.objective.base()) {
            own.step = own.step.or(stored.step);
        }
    }

    /// Refuses to resume `stored` as `self` where a key differs that must not.
    ///
    /// # Errors
    /// Names every such key with both values, and the keys that may change.
    pub fn check_resume(&self, stored: &Experiment, file: &Path) -> Result<()> {
        let refused = self.refused(stored);
        let Some(first) = refused.first() else { return Ok(()) };
        let others = refused
            .iter()
            .skip(1)
            .map(|c| format!("; {}: {} -> {}", c.key, c.old, c.new))
            .collect::<String>();
        Err(yaml::config(
            file,
            first.key.clone(),
            format!(
                "cannot change when a run is resumed: it is {} in the run, {} here{others}",
                first.old, first.new
            ),
            format!(
                "set it back, or start another run with --out; only these may change: {}",
                MAY_CHANGE.join(", ")
            ),
        ))
    }
}

impl Experiment {
    /// How the experiment differs from `stored` in what must not change, in words; nothing where it
    /// does not.
    pub fn contradicts(&self, stored: &Experiment) -> Option<String> {
        let words = |c: Change| format!("{} is {} there, {} here", c.key, c.old, c.new);
        let refused: Vec<String> = self.refused(stored).into_iter().map(words).collect();
        (!refused.is_empty()).then(|| refused.join("; "))
    }

    fn refused(&self, stored: &Experiment) -> Vec<Change> {
        let mut changes = Vec::new();
        let (old, new) = (yaml::to_value(stored), yaml::to_value(self));
        differences(&old, &new, String::new(), &mut changes);
        changes.retain(|c| !may_change(&c.key));
        changes
    }
}

struct Change {
    key: String,
    old: String,
    new: String,
}

fn may_change(key: &str) -> bool {
    MAY_CHANGE
        .iter()
        .any(|k| key == *k || key.strip_prefix(k).is_some_and(|rest| rest.starts_with('.')))
}

/// Walks two trees of the same type and notes each leaf that differs.
fn differences(old: &Value, new: &Value, key: String, out: &mut Vec<Change>) {
    match (old, new) {
        (Value::Mapping(a), Value::Mapping(b)) if a.keys().eq(b.keys()) => {
            for (name, value) in a {
                let name_text = name.as_str().unwrap_or_default();
                let path = if key.is_empty() {
                    name_text.to_owned()
                } else {
                    format!("{key}.{name_text}")
                };
                differences(value, &b[name], path, out);
            }
        }
        _ if old != new => out.push(Change {
            key,
            old: inline(old),
            new: inline(new),
        }),
        _ => {}
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "another value".into())
}
