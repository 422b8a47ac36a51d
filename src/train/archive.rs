//! One checkpoint's folder: each file under a checksum, the manifest sealed by its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, Named};

const MANIFEST: &str = "manifest.json";
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

/// Reads a checkpoint's folder, every file against its checksum.
///
/// # Errors
/// Names the file that is missing, of another length, or altered.
pub(super) fn read<R: serde::de::DeserializeOwned>(folder: &Path) -> Result<Contents<R>> {
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
