//! Fields of CSV files.

/// A field of a CSV file, quoted where RFC 4180 asks for it.
pub fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
