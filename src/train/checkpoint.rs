//! The checkpoints of a run: whole or absent, the last few and the best kept, damaged ones passed over.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::archive::{Contents, versions};
use super::archive::{fill, json, read};
use super::run::RunDir;
use crate::error::{Error, Result};
use crate::files;

const BEST: &str = "best.json";

/// Which checkpoint of a run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest that is undamaged.
    Last,
    /// The best by the validation metric.
    Best,
    /// The one of this step.
    Step(u64),
}

/// The best checkpoint so far by a validation metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// The metric's name.
    pub metric: String,
    /// Its value; higher is better.
    pub value: f64,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "last" => Ok(Which::Last),
            "best" => Ok(Which::Best),
            step => step
                .parse()
                .map(Which::Step)
                .map_err(|_| format!("`{text}` is none of last, best, or a step's number")),
        }
    }
}

/// Writes a checkpoint under a temporary name, syncs it, renames it, then removes what is no longer kept.
///
/// # Errors
/// On any failure nothing of the new checkpoint remains and the older ones are untouched.
pub fn write<R: Serialize>(run: &RunDir, config: &str, contents: &Contents<R>, keep: usize) -> Result<PathBuf> {
    remove_unfinished(run)?;
    let target = folder(run, contents.step);
    let temporary = run.checkpoints().join(format!(".step-{}", contents.step));
    let written = fill(&temporary, config, contents).and_then(|()| {
        // Only a checkpoint that was found damaged, and so gone back behind, can be there already.
        if target.exists() {
            remove(run, contents.step)?;
        }
        fs::rename(&temporary, &target).map_err(Error::io(&target))?;
        files::sync_parent(&target)
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written?;
    prune(run, contents.step, keep)?;
    Ok(target)
}

/// The newest undamaged checkpoint of a step below `before`, and the errors of those that had to be passed over.
///
/// # Errors
/// When there are checkpoints but none can be used.
pub fn latest<R: serde::de::DeserializeOwned>(run: &RunDir, before: u64) -> Result<(Option<Contents<R>>, Vec<Error>)> {
    let mut passed_over = Vec::new();
    for step in steps(run)?.into_iter().rev().filter(|s| *s < before) {
        match read(&folder(run, step)) {
            Ok(contents) => return Ok((Some(contents), passed_over)),
            Err(e) => passed_over.push(e),
        }
    }
    match passed_over.into_iter().next() {
        None => Ok((None, Vec::new())),
        Some(newest) => Err(newest),
    }
}

/// One checkpoint, for whoever uses a trained run; the errors are those of damaged ones passed over.
///
/// # Errors
/// When the run has no such checkpoint, or it is damaged.
pub fn pick<R: serde::de::DeserializeOwned>(run: &RunDir, which: Which) -> Result<(Contents<R>, Vec<Error>)> {
    let none = |what: String| {
        Error::file(
            run.path(),
            what,
            "train it further with `ebm train EXPERIMENT --resume`, or name one of its checkpoints",
        )
    };
    let step = match which {
        Which::Last => {
            let (found, passed_over) = latest(run, u64::MAX)?;
            return found
                .map(|c| (c, passed_over))
                .ok_or_else(|| none("the run has no checkpoint yet".into()));
        }
        Which::Best => best(run)
            .map(|b| b.step)
            .ok_or_else(|| none("the run tracks no validation metric, so none is best".into()))?,
        Which::Step(step) => step,
    };
    let there = steps(run)?;
    if !there.contains(&step) {
        return Err(none(format!("no checkpoint of step {step}; there are {there:?}")));
    }
    Ok((read(&folder(run, step))?, Vec::new()))
}

/// Whether the checkpoint of a step is there and undamaged.
pub fn is_whole(run: &RunDir, step: u64) -> bool {
    read::<serde_json::Value>(&folder(run, step)).is_ok()
}

/// Steps of the checkpoints there are, rising.
pub fn steps(run: &RunDir) -> Result<Vec<u64>> {
    let path = run.checkpoints();
    let entries = match fs::read_dir(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io(&path))?,
    };
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let mut steps: Vec<u64> = names.filter_map(|n| n.strip_prefix("step-")?.parse().ok()).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The best checkpoint so far, where a metric is tracked.
pub fn best(run: &RunDir) -> Option<Best> {
    serde_json::from_slice(&fs::read(run.checkpoints().join(BEST)).ok()?).ok()
}

/// Notes that the checkpoint of a step is the best so far.
pub fn set_best(run: &RunDir, best: &Best) -> Result<()> {
    files::write_atomic(&run.checkpoints().join(BEST), json(best).as_bytes())
}

fn folder(run: &RunDir, step: u64) -> PathBuf {
    run.checkpoints().join(format!("step-{step}"))
}

/// Removes all but the newest `keep` checkpoints up to `step`, and the best.
///
/// A later one can only be damaged: it was passed over. It stays until training comes by, and is not counted.
fn prune(run: &RunDir, step: u64, keep: usize) -> Result<()> {
    let steps: Vec<u64> = steps(run)?.into_iter().filter(|s| *s <= step).collect();
    let best = best(run).map(|b| b.step);
    let mut old = steps[..steps.len().saturating_sub(keep)].iter();
    old.try_for_each(|s| if Some(*s) == best { Ok(()) } else { remove(run, *s) })
}

/// Removes a checkpoint at once: a kill on the way leaves no half of it under its name.
fn remove(run: &RunDir, step: u64) -> Result<()> {
    let (path, doomed) = (folder(run, step), run.checkpoints().join(format!(".step-{step}.old")));
    fs::rename(&path, &doomed).map_err(Error::io(&path))?;
    fs::remove_dir_all(&doomed).map_err(Error::io(&doomed))
}

/// Removes what a killed process left half-written.
fn remove_unfinished(run: &RunDir) -> Result<()> {
    let path = run.checkpoints();
    fs::create_dir_all(&path).map_err(Error::io(&path))?;
    for entry in fs::read_dir(&path).map_err(Error::io(&path))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".step-") {
            fs::remove_dir_all(entry.path()).map_err(Error::io(entry.path()))?;
        }
    }
    Ok(())
}
