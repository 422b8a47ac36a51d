//! The checkpoints of a run: whole or absent, the last few and the best kept, damaged ones passed over.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::archive::{Contents, Sealed, TERMS_EMA, versions};
use super::archive::{fill, json, read};
use super::folder::RunDir;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
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
#[serde(deny_unknown_fields)]
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
/// On any failure nothing of the new checkpoint remains and the older ones are untouched; where the folder of the run is
/// no longer this process's own, nothing at all is.
pub fn write<R: Serialize>(run: &RunDir, config: &str, contents: &Contents<R>, keep: usize) -> Result<PathBuf> {
    remove_unfinished(run)?;
    let target = folder(run, contents.step);
    let temporary = run.file(&format!("checkpoints/.step-{}", contents.step))?;
    let written = fill(&temporary, config, contents).and_then(|()| {
        // Only a checkpoint that was gone back behind, as damaged or after a divergence, can be
        // there already.
        if target.exists() {
            forget_best(run, contents.step)?;
            remove(run, contents.step)?;
        }
        run.ensure_own()?;
        fs::rename(&temporary, &target).map_err(Error::io(&target))?;
        files::sync_parent(&target)
    });
    if written.is_err() {
        // What lies at the path of a run that was moved away belongs to somebody else.
        run.ensure_own()?;
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
pub fn latest<R: serde::de::DeserializeOwned>(run: &RunDir, before: u64) -> Result<(Option<Sealed<R>>, Vec<Error>)> {
    let mut passed_over = Vec::new();
    for step in steps(run)?.into_iter().rev().filter(|s| *s < before) {
        match read(&folder(run, step), step) {
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
pub fn pick<R: serde::de::DeserializeOwned>(run: &RunDir, which: Which) -> Result<(Sealed<R>, Vec<Error>)> {
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
        Which::Best => best(run)?
            .map(|b| b.step)
            .ok_or_else(|| none("the run tracks no validation metric, so none is best".into()))?,
        Which::Step(step) => step,
    };
    let there = steps(run)?;
    if !there.contains(&step) {
        return Err(none(format!("no checkpoint of step {step}; there are {there:?}")));
    }
    Ok((read(&folder(run, step), step)?, Vec::new()))
}

/// The configuration that was sealed into the checkpoint of a step, where it is there and
/// undamaged.
pub fn sealed(run: &RunDir, step: u64) -> Option<Experiment> {
    let read = read::<serde_json::Value>(&folder(run, step), step);
    read.ok().map(|sealed| sealed.experiment)
}

/// Refuses a checkpoint that was made with another configuration than `experiment`, that of the
/// run's resolved.yaml.
///
/// # Errors
/// Names the keys that differ; those that may change on resume can.
pub fn ensure_agrees(run: &RunDir, experiment: &Experiment, step: u64, sealed: &Experiment) -> Result<()> {
    let Some(differences) = experiment.contradicts(sealed) else {
        return Ok(());
    };
    let copy = folder(run, step).join("resolved.yaml");
    Err(Error::file(
        &run.resolved(),
        format!("contradicts the checkpoint of step {step}, which was made with another configuration: {differences}"),
        format!("put the checkpoint's own copy in its place: {}", copy.display()),
    ))
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
///
/// # Errors
/// When the record of it is damaged, or names a checkpoint that is not there.
pub fn best(run: &RunDir) -> Result<Option<Best>> {
    let path = run.checkpoints().join(BEST);
    let damaged = |what: String| {
        Error::file(
            &path,
            format!("damaged: {what}"),
            "go on with the run by --resume, which finds the best anew in metrics.jsonl; or name a step by --checkpoint",
        )
    };
    let bytes = match files::read_regular(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::io(&path))?,
    };
    let best: Best = serde_json::from_slice(&bytes).map_err(|e| damaged(format!("is not what was written: {e}")))?;
    match steps(run)?.contains(&best.step) {
        true => Ok(Some(best)),
        false => Err(damaged(format!("there is no checkpoint of step {}", best.step))),
    }
}

/// Takes back that the checkpoint of a step is the best, before another one gets its name.
fn forget_best(run: &RunDir, step: u64) -> Result<()> {
    if best(run)?.is_none_or(|b| b.step != step) {
        return Ok(());
    }
    clear_best(run)
}

/// Takes back that any checkpoint is the best.
pub fn clear_best(run: &RunDir) -> Result<()> {
    let path = run.file("checkpoints/best.json")?;
    match fs::remove_file(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed
            .map_err(Error::io(&path))
            .and_then(|()| files::sync_parent(&path)),
    }
}

/// Notes that the checkpoint of a step is the best so far.
pub fn set_best(run: &RunDir, best: &Best) -> Result<()> {
    files::write_atomic(&run.file("checkpoints/best.json")?, json(best).as_bytes())
}

fn folder(run: &RunDir, step: u64) -> PathBuf {
    run.checkpoints().join(format!("step-{step}"))
}

/// Removes all but the newest `keep` checkpoints up to `step`, and the best.
///
/// A later one can only be damaged: it was passed over. It stays until training comes by, and is not counted.
fn prune(run: &RunDir, step: u64, keep: usize) -> Result<()> {
    let steps: Vec<u64> = steps(run)?.into_iter().filter(|s| *s <= step).collect();
    let best = best(run)?.map(|b| b.step);
    let mut old = steps[..steps.len().saturating_sub(keep)].iter();
    old.try_for_each(|s| if Some(*s) == best { Ok(()) } else { remove(run, *s) })
}

/// Removes a checkpoint at once: a kill on the way leaves no half of it under its name.
fn remove(run: &RunDir, step: u64) -> Result<()> {
    let (path, doomed) = (folder(run, step), run.file(&format!("checkpoints/.step-{step}.old"))?);
    fs::rename(&path, &doomed).map_err(Error::io(&path))?;
    fs::remove_dir_all(&doomed).map_err(Error::io(&doomed))
}

/// Removes what a killed process left half-written.
fn remove_unfinished(run: &RunDir) -> Result<()> {
    let path = run.folder("checkpoints")?;
    for entry in fs::read_dir(&path).map_err(Error::io(&path))?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(".step-") {
            continue;
        }
        // Of a link the link itself goes, and nothing that it leads to.
        let removed = match entry.file_type().is_ok_and(|t| t.is_dir()) {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
        removed.map_err(Error::io(entry.path()))?;
    }
    Ok(())
}
