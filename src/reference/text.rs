//! Words of comments and values as Markdown.

use serde_json::Value;

/// The text of a comment, a paragraph a line.
pub(super) fn paragraphs(comment: &str) -> String {
    let lines = comment
        .split("\n\n")
        .map(|paragraph| escaped(&paragraph.replace('\n', " ")));
    lines.collect::<Vec<_>>().join("\n\n")
}

/// The text of a comment on one line of a table.
pub(super) fn cell(comment: &str) -> String {
    escaped(&comment.replace("\n\n", " ").replace('\n', " ")).replace('|', "\\|")
}

/// A text whose angle brackets are no HTML, but for what stands in backticks.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let shown = parts.map(|(i, part)| match i % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    shown.collect::<Vec<_>>().join("`")
}

/// A value as YAML on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::String(word) if word.is_empty() => "\"\"".into(),
        Value::String(word) => word.clone(),
        Value::Array(all) => format!("[{}]", all.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Number(number) => match number.as_f64() {
            Some(x) if x != 0.0 && x.abs() < 1e-3 => format!("{x:.1e}"),
            Some(x) => x.to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Where a heading of that path stands on its page.
pub(super) fn anchor(path: &str) -> String {
    path.replace('.', "")
}

/// What stands at the head of a generated page.
pub fn notice(title: &str) -> String {
    format!("# {title}\n\n<!-- Written by `make reference` from the code; changes here are lost. -->\n\n")
}
