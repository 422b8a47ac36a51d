//! One checkpoint's folder: each file under a checksum, the manifest sealed by its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::files::{self, Named};

const MANIFEST: &str = "manifest.json";
const RECORD: &str = "state.json";
const CONFIG: &str = "resolved.yaml";

/// The file stem of the moving averages of the terms' own parameters.
pub const TERMS_EMA: &str = "objective_ema";

/// The layout of a checkpoint; raised when it changes.
const FORMAT: u32 = 2;

/// The oldest layout that is read: its configuration has keys of earlier versions, its streams lack
/// that of the objective.
const OLDEST: u32 = 1;

/// What a checkpoint holds: named tensors in files, and a record of everything else.
pub struct Contents<R> {
    /// Updates made so far.
    pub step: u64,
    /// File stem (`weights`, `ema`, `optimizer`, ...) to the tensors of that file.
    pub tensors: BTreeMap<String, Named>,
    /// What is not a tensor: streams, counters, histories.
    pub record: R,
}

/// A checkpoint that was read, with the configuration that was sealed into it.
pub struct Sealed<R> {
    /// The configuration that the contents were made with.
    pub experiment: Experiment,
    /// What it holds.
    pub contents: Contents<R>,
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

/// Writes and syncs every file of a checkpoint, the manifest last.
pub(super) fn fill<R: Serialize>(folder: &Path, config: &str, contents: &Contents<R>) -> Result<()> {
    // Not its parents: a run whose folder is gone is not made again.
    fs::create_dir(folder).map_err(Error::io(folder))?;
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

/// A record as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> String {
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

/// Reads the folder of the checkpoint of a step, every file against its checksum.
///
/// # Errors
/// Names the file that is missing, of another length, or altered, that the configuration does not ask for, or that
/// belongs to another step; or the number that no run writes.
pub(super) fn read<R: serde::de::DeserializeOwned>(folder: &Path, step: u64) -> Result<Sealed<R>> {
    let manifest = manifest(folder, step)?;
    let text = checked(folder, CONFIG, &manifest)?;
    let path = folder.join(CONFIG);
    let experiment = Experiment::from_text(&String::from_utf8_lossy(&text), &path, &[])?;
    let path = folder.join(RECORD);
    let record: serde_json::Value = parse(&checked(folder, RECORD, &manifest)?, &path)?;
    let imported = record.get("imported_from").is_some();
    ensure_implied(folder, &manifest, &experiment, imported)?;
    if !imported {
        let record =
            Record::deserialize(&record).map_err(|e| damaged(&path, format!("is not what was written: {e}")))?;
        record.check(&experiment, step).map_err(|what| damaged(&path, what))?;
    }
    let mut contents = Contents {
        step,
        tensors: BTreeMap::new(),
        record: serde_json::from_value(record).map_err(|e| damaged(&path, format!("is not what was written: {e}")))?,
    };
    for name in manifest.files.keys() {
        if let Some(stem) = name.strip_suffix(".safetensors") {
            let tensors = files::decode(
                &checked(folder, name, &manifest)?,
                &folder.join(name).display().to_string(),
            )?;
            contents.tensors.insert(stem.into(), tensors);
        }
    }
    Ok(Sealed { experiment, contents })
}

/// The files of a checkpoint of this configuration; of weights that were trained elsewhere there
/// are no others.
fn implied(experiment: &Experiment, imported: bool) -> Vec<String> {
    let stems = [
        ("weights", true),
        ("optimizer", !imported),
        ("meters", !imported),
        ("ema", !imported && experiment.optimizer.ema.is_some()),
        ("buffer", !imported && experiment.uses_buffer()),
        ("objective", !imported && experiment.objective.has_parameters()),
        (TERMS_EMA, !imported && experiment.averages_terms()),
        ("warm_up", !imported && warms_up(experiment)),
    ];
    let stems = stems.iter().filter(|(_, holds)| *holds);
    let mut names: Vec<String> = stems.map(|(stem, _)| format!("{stem}.safetensors")).collect();
    names.extend([RECORD.to_owned(), CONFIG.to_owned()]);
    names
}

/// Whether training looks for the step size of its chains.
fn warms_up(e: &Experiment) -> bool {
    e.runs_chains() && e.sampler.as_ref().is_some_and(|sampler| sampler.warm_up.is_some())
}

/// Refuses a manifest that names other files than the configuration implies, before any of them is
/// opened.
fn ensure_implied(folder: &Path, manifest: &Manifest, experiment: &Experiment, imported: bool) -> Result<()> {
    let expected = implied(experiment, imported);
    let missing = expected.iter().find(|name| !manifest.files.contains_key(*name));
    let extra = manifest.files.keys().find(|name| !expected.contains(name));
    match (missing, extra) {
        (None, None) => Ok(()),
        (Some(name), _) => Err(damaged(
            &folder.join(MANIFEST),
            format!("does not name {name}, which its configuration asks for"),
        )),
        (_, Some(name)) => Err(damaged(
            &folder.join(MANIFEST),
            format!("names `{name}`, which its configuration does not ask for"),
        )),
    }
}

/// The manifest of a folder, which must be that of a step.
fn manifest(folder: &Path, step: u64) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let manifest: Manifest = parse(&read_file(&path)?, &path)?;
    if !(OLDEST..=FORMAT).contains(&manifest.format) {
        let found = format!(
            "checkpoint format {}, this program reads {OLDEST} to {FORMAT}",
            manifest.format
        );
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
    if manifest.step != step {
        let what = format!(
            "is of step {}, and the folder is called after step {step}",
            manifest.step
        );
        return Err(damaged(&path, what));
    }
    Ok(manifest)
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    files::read_regular(path).map_err(|e| damaged(path, format!("cannot be read: {e}")))
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
