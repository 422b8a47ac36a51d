//! metrics.jsonl: one JSON object a line, readable while the run goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::files;

/// The metrics of a run.
///
/// A line of scalars is `{"step": 10, "time": 1767225600.0, "loss": 0.1, ...}`; one that is not a number
/// (a diverged loss) is null. A line of an event has `"event": "rollback"` and whatever belongs to it.
/// [`curves`](super::curves()) reads `energy_pos`, `energy_neg`, `energy_gap`, `loss`, `grad_norm`,
/// `chain_grad_norm` and `lr`, and of the event `rollback` the step that the run went back `to`.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// A log at `path` that begins empty.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        files::write_atomic(path, b"")?;
        Self::open(path)
    }

    /// Goes on with the log at `path` after `step`: scalars of later steps are dropped, and so is a
    /// last line that a kill tore apart. Events stay, as they have happened. A missing file begins empty.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        let mut kept = String::new();
        for line in read(path)? {
            if line["step"].as_u64().is_some_and(|s| s <= step) || line["event"].is_string() {
                kept.push_str(&format!("{line}\n"));
            }
        }
        files::write_atomic(path, kept.as_bytes())?;
        Self::open(path)
    }

    fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).open(path).map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    /// Appends the scalars after `step` updates.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.line(step, values.iter().map(|(name, v)| (name.to_string(), json!(v))))
    }

    /// Appends what happened after `step` updates, with its details.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn event(&mut self, step: u64, event: &str, details: &[(&str, Value)]) -> Result<()> {
        let details = details.iter().map(|(name, v)| (name.to_string(), v.clone()));
        self.line(step, [("event".to_string(), json!(event))].into_iter().chain(details))
    }

    /// One write a line: it is on its way to the disk when this returns, whole or (after a kill) torn.
    fn line(&mut self, step: u64, values: impl Iterator<Item = (String, Value)>) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".into(), json!(step));
        line.insert("time".into(), json!(now()));
        line.extend(values);
        let text = format!("{}\n", Value::Object(line));
        self.file.write_all(text.as_bytes()).map_err(Error::io(&self.path))
    }
}

/// The whole lines of the log at `path`, in order; none where there is no file. A torn line is
/// passed over.
///
/// # Errors
/// Where the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let bytes = match files::read_regular(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::io(path))?,
    };
    let lines = bytes.split(|b| *b == b'\n');
    Ok(lines
        .filter_map(|l| serde_json::from_slice(l).ok())
        .filter(Value::is_object)
        .collect())
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}
