//! Checkpoints that were changed and sealed again, so that only what they say gives them away.

use std::fs;
use std::path::Path;

use ebm::files::{self, Named};
use serde_json::Value;

/// Makes a manifest fit what lies in the folder now, checksums and seal.
pub fn reseal(folder: &Path) {
    let path = folder.join("manifest.json");
    let mut text = fs::read_to_string(&path).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    for (name, entry) in manifest["files"].as_object().unwrap() {
        let Ok(bytes) = fs::read(folder.join(name)) else {
            continue;
        };
        let worded = |bytes: u64, sum: &str| format!("\"bytes\": {bytes},\n      \"sha256\": \"{sum}\"");
        let old = worded(entry["bytes"].as_u64().unwrap(), entry["sha256"].as_str().unwrap());
        assert!(text.contains(&old), "the manifest is written in another way");
        text = text.replacen(&old, &worded(bytes.len() as u64, &files::sha256(&bytes)), 1);
    }
    fs::write(path, sealed(&text)).unwrap();
}

/// The text of a manifest under the checksum of itself, taken while that is empty.
fn sealed(text: &str) -> String {
    let (before, rest) = text.split_once("\"seal\": \"").unwrap();
    let after = rest.split_once('"').unwrap().1;
    let with = |seal: &str| format!("{before}\"seal\": \"{seal}\"{after}");
    with(&files::sha256(with("").as_bytes()))
}

/// Changes a manifest's text and seals it.
pub fn manifest(folder: &Path, change: impl FnOnce(String) -> String) {
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let new = change(text.clone());
    assert_ne!(new, text, "nothing was changed");
    fs::write(path, sealed(&new)).unwrap();
}

/// Takes a file out of the folder and of its manifest.
pub fn without(folder: &Path, name: &str) {
    fs::remove_file(folder.join(name)).unwrap();
    manifest(folder, |text| {
        let value: Value = serde_json::from_str(&text).unwrap();
        let entry = worded_entry(name, &value["files"][name]);
        let alone = text.replacen(&format!("{entry},\n"), "", 1);
        // The last entry has a comma before instead of behind.
        if alone == text {
            text.replacen(&format!(",\n{entry}"), "", 1)
        } else {
            alone
        }
    });
}

/// Puts a file into the folder and the manifest, before all others.
pub fn with(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
    let entry = serde_json::json!({"bytes": bytes.len(), "sha256": files::sha256(bytes)});
    let entry = worded_entry(name, &entry);
    manifest(folder, |text| {
        text.replacen("\"files\": {\n", &format!("\"files\": {{\n{entry},\n"), 1)
    });
}

fn worded_entry(name: &str, entry: &Value) -> String {
    let (bytes, sum) = (entry["bytes"].as_u64().unwrap(), entry["sha256"].as_str().unwrap());
    format!("    \"{name}\": {{\n      \"bytes\": {bytes},\n      \"sha256\": \"{sum}\"\n    }}")
}

/// Changes a file as text and seals it.
pub fn text(folder: &Path, name: &str, change: impl FnOnce(String) -> String) {
    let path = folder.join(name);
    let old = fs::read_to_string(&path).unwrap();
    let new = change(old.clone());
    assert_ne!(new, old, "nothing was changed");
    fs::write(path, new).unwrap();
    reseal(folder);
}

/// Puts another value at a place of the record and seals it.
pub fn record(folder: &Path, place: &str, value: Value) {
    text(folder, "state.json", |text| {
        let mut record: Value = serde_json::from_str(&text).unwrap();
        *record
            .pointer_mut(place)
            .unwrap_or_else(|| panic!("no {place} in {text}")) = value;
        record.to_string()
    });
}

/// Changes the tensors of a file and seals it.
pub fn tensors(folder: &Path, name: &str, change: impl FnOnce(&mut Named)) {
    let path = folder.join(name);
    let mut tensors = files::read(&path).unwrap();
    change(&mut tensors);
    fs::write(path, files::encode(&tensors).unwrap()).unwrap();
    reseal(folder);
}
