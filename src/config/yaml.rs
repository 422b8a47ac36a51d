//! Reads and writes YAML as typed values; the one place that calls `serde_yaml`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use serde_yaml::Value;
use serde_yaml::with::singleton_map_recursive;

use super::bounds;
use crate::error::{Error, Result};

/// Parses the text of a file into a tree, before any type is imposed on it.
///
/// # Errors
/// The text is no YAML, nests too deeply, or grows beyond bounds by its aliases.
pub fn parse(text: &str, file: &Path) -> Result<Value> {
    bounds::check(text).map_err(|(what, remedy)| config(file, "", what, remedy))?;
    let value = serde_yaml::from_str(text)
        .map_err(|e| config(file, "", format!("not valid YAML: {e}"), "mend the syntax at that line"))?;
    Ok(value)
}

/// Turns a tree into a typed value; an unknown key is named with its nearest neighbour.
pub fn typed<T: DeserializeOwned>(value: Value, file: &Path) -> Result<T> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(value, &mut track);
    singleton_map_recursive::deserialize(reader).map_err(|e| {
        let key = match track.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        explain(file, key, &e.to_string())
    })
}

/// Reads a YAML file into a typed value.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    typed(parse(&read(path)?, path)?, path)
}

/// The text of a file that the user named, without a byte-order mark.
///
/// # Errors
/// There is no such file, or it is no text, or too long for one.
pub fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    // A device such as /dev/zero has no end.
    let read = File::open(path).and_then(|f| f.take(bounds::MOST_BYTES + 1).read_to_string(&mut text));
    if text.len() as u64 > bounds::MOST_BYTES {
        let what = format!("is longer than {} MiB", bounds::MOST_BYTES >> 20);
        return Err(Error::file(path, what, "name a YAML file"));
    }
    match read {
        Ok(_) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(e) => Err(unreadable(path, e)),
    }
}

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(
            path,
            "no such file",
            "check the path; it is taken relative to the folder you are in",
        ),
        std::io::ErrorKind::IsADirectory => Error::file(path, "is a folder", "name a YAML file"),
        std::io::ErrorKind::InvalidFilename | std::io::ErrorKind::InvalidInput => {
            Error::file(path, "is no name that a file can have", "name a YAML file")
        }
        std::io::ErrorKind::InvalidData => Error::file(path, "is not text: it is not UTF-8", "name a YAML file"),
        _ => Error::Io {
            path: path.into(),
            source: e,
        },
    }
}

/// A typed value as YAML text.
pub fn to_text<T: Serialize>(value: &T) -> String {
    let mut out = Vec::new();
    let mut writer = serde_yaml::Serializer::new(&mut out);
    singleton_map_recursive::serialize(value, &mut writer).expect("configuration types always serialise");
    String::from_utf8(out).expect("YAML is UTF-8")
}

/// A tree as YAML text.
pub fn tree_to_text(tree: &Value) -> String {
    serde_yaml::to_string(tree).expect("a tree that was read can be written")
}

/// A typed value as a tree, for comparisons key by key.
pub fn to_value<T: Serialize>(value: &T) -> Value {
    singleton_map_recursive::serialize(value, serde_yaml::value::Serializer)
        .expect("configuration types always serialise")
}

/// Applies `path.to.key=value` to a tree; the value is read as YAML.
pub fn set(root: &mut Value, assignment: &str) -> Result<()> {
    let place = format!("--set {assignment}");
    let (path, text) = assignment
        .split_once('=')
        .ok_or_else(|| Error::input(&place, "expected KEY=VALUE", "write it as --set train.steps=100"))?;
    bounds::check(text).map_err(|(what, remedy)| Error::input(&place, what, remedy))?;
    let value: Value = serde_yaml::from_str(text)
        .map_err(|e| Error::input(&place, format!("the value is not valid YAML: {e}"), "quote it"))?;
    bounds::check_depth(path.split('.').count()).map_err(|(what, remedy)| Error::input(&place, what, remedy))?;
    let mut at = root;
    for key in path.split('.') {
        if at.is_null() {
            *at = Value::Mapping(Default::default());
        }
        let map = at.as_mapping_mut().ok_or_else(|| {
            Error::input(
                &place,
                format!("what stands before `{key}` is a plain value, not a section"),
                "set the whole section, as in --set data.dataset='{folder: {path: photos}}'",
            )
        })?;
        at = map.entry(Value::from(key)).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}

/// A configuration error at a key.
pub fn config(file: &Path, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::Config {
        file: file.into(),
        key: key.into(),
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Words a deserialisation message for people; serde's own lists what it expected.
fn explain(file: &Path, key: String, message: &str) -> Error {
    for (marker, noun) in [("unknown field `", "key"), ("unknown variant `", "choice")] {
        let Some(rest) = message.split_once(marker).map(|(_, r)| r) else {
            continue;
        };
        let mut names = rest.split('`').step_by(2);
        let found = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        let key = key.strip_suffix(found).unwrap_or(&key).trim_end_matches('.').to_owned();
        return config(
            file,
            key,
            format!("unknown {noun} `{found}`"),
            suggestion(found, &known),
        );
    }
    config(file, key, message, "give the value that is expected there")
}

/// Names the nearest known word, or all of them.
fn suggestion(found: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(found, a).total_cmp(&strsim::jaro_winkler(found, b)));
    match near {
        Some(near) if strsim::jaro_winkler(found, near) > 0.7 => {
            format!("did you mean `{near}`? (known here: {})", known.join(", "))
        }
        _ if known.is_empty() => "remove it; nothing can be set here".into(),
        _ => format!("known here: {}", known.join(", ")),
    }
}
