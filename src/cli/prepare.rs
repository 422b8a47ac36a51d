//! What `check` and `train` say of an experiment, and the change that `--root` stands for.

use std::path::Path;

use super::progress::say;
use crate::experiment::Experiment;

/// Says how a file was read, where that needs a word.
pub fn say_notices(experiment: &Experiment) {
    let say_one = |notice: &String| say(&format!("notice: {notice}"));
    experiment.notices.iter().for_each(say_one);
}

/// The change of an experiment that `--root` stands for.
pub fn root_key(root: &Path) -> String {
    // A string of JSON is one of YAML, whatever the path holds.
    format!("data.root={}", serde_json::json!(root.to_string_lossy()))
}
