//! Checkpoints: whole or absent, each file under a checksum, the last few and the best kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::run::RunDir;
use crate::error::{Error, Result};
use crate::files::{self, Named};

const MANIFEST: &str = "manifest.json";
const BEST: &str = "best.json";
const RECORD: &str = "state.json";
const CONFIG: &str = "resolved.yaml";

/// The layout of a checkpoint; raised when it changes.
const FORMAT: u32 = 1;

/// What a checkpoint holds: named tensors in files, and a record of everything else.
pub struct Contents<R> {
    /// Updates made so far.
    pub step: u64,
    /// File stem (`weights`, `ema`, `optimizer`, ...) to the tensors of that file.
    pub tensors: BTreeMap<String, Named>,
    /// What is not a tensor: streams, counters, histories.
    pub record: R,
}

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

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    step: u64,
    versions: BTreeMap<String, String>,
    files: BTreeMap<String, Entry>,
    /// The checksum of the manifest itself, taken while this is empty.
    seal: String,
}

impl Manifest {
    fn sealed(mut self) -> Self {
        self.seal.clear();
        self.seal = files::sha256(json(&self).as_bytes());
        self
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
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

fn fill<R: Serialize>(folder: &Path, config: &str, contents: &Contents<R>) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut entries = BTreeMap::new();
    let mut put = |name: String, bytes: &[u8]| {
        entries.insert(
            name.clone(),
            Entry {
                bytes: bytes.len() as u64,
                sha256: files::sha256(bytes),
            },
        );
        files::write_synced(&folder.join(name), bytes)
    };
    for (stem, tensors) in &contents.tensors {
        put(format!("{stem}.safetensors"), &files::encode(tensors)?)?;
    }
    put(RECORD.into(), json(&contents.record).as_bytes())?;
    put(CONFIG.into(), config.as_bytes())?;
    let manifest = Manifest {
        format: FORMAT,
        step: contents.step,
        versions: versions(),
        files: entries,
        seal: String::new(),
    }
    .sealed();
    files::write_synced(&folder.join(MANIFEST), json(&manifest).as_bytes())?;
    fs::File::open(folder)
        .and_then(|d| d.sync_all())
        .map_err(Error::io(folder))
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("records always serialise")
}

/// The versions that a run depends on.
pub fn versions() -> BTreeMap<String, String> {
    let pairs = [
        ("deep-ebm", env!("CARGO_PKG_VERSION")),
        ("build", env!("EBM_BUILD")),
        ("tch", "0.24.0"),
        ("libtorch", "2.11.0"),
    ];
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Reads a checkpoint's folder, every file against its checksum.
///
/// # Errors
/// Names the file that is missing, of another length, or altered.
pub fn read<R: serde::de::DeserializeOwned>(folder: &Path) -> Result<Contents<R>> {
    let path = folder.join(MANIFEST);
    let manifest: Manifest = parse(&read_file(&path)?, &path)?;
    if manifest.format != FORMAT {
        let found = format!("checkpoint format {}, this program reads {FORMAT}", manifest.format);
        return Err(Error::file(
            folder,
            found,
            "use the version of the program that wrote it",
        ));
    }
    let seal = manifest.seal.clone();
    let manifest = manifest.sealed();
    if manifest.seal != seal {
        return Err(damaged(&path, "was altered: it does not fit its own checksum".into()));
    }
    let mut contents = Contents {
        step: manifest.step,
        tensors: BTreeMap::new(),
        record: parse(&checked(folder, RECORD, &manifest)?, &folder.join(RECORD))?,
    };
    for name in manifest.files.keys() {
        let bytes = checked(folder, name, &manifest)?;
        if let Some(stem) = name.strip_suffix(".safetensors") {
            contents.tensors.insert(
                stem.into(),
                files::decode(&bytes, &folder.join(name).display().to_string())?,
            );
        }
    }
    Ok(contents)
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| damaged(path, format!("cannot be read: {e}")))
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| damaged(path, format!("is not what was written: {e}")))
}

fn checked(folder: &Path, name: &str, manifest: &Manifest) -> Result<Vec<u8>> {
    let path = folder.join(name);
    let entry = manifest
        .files
        .get(name)
        .ok_or_else(|| damaged(&path, "is not in the manifest".into()))?;
    let bytes = read_file(&path)?;
    if bytes.len() as u64 != entry.bytes {
        return Err(damaged(
            &path,
            format!("has {} bytes, {} were written", bytes.len(), entry.bytes),
        ));
    }
    if files::sha256(&bytes) != entry.sha256 {
        return Err(damaged(
            &path,
            "was altered: its checksum differs from the manifest's".into(),
        ));
    }
    Ok(bytes)
}

fn damaged(path: &Path, what: String) -> Error {
    Error::file(
        path,
        format!("damaged checkpoint: {what}"),
        "use another checkpoint of the run (--checkpoint STEP), or restore the file",
    )
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
