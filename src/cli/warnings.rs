//! What the library warns of or notes, said once each on stderr.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::progress::say;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Says each warning and notice of this library once, however often the same data are opened.
struct Warnings(Mutex<BTreeSet<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(BTreeSet::new()));

/// From here on they are said.
pub fn listen() {
    if log::set_logger(&WARNINGS).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Warnings {
    fn enabled(&self, about: &Metadata) -> bool {
        about.level() <= LevelFilter::Info && about.target().starts_with("ebm")
    }

    fn log(&self, record: &Record) {
        let text = record.args().to_string();
        let mut said = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.enabled(record.metadata()) && said.insert(text.clone()) {
            let kind = if record.level() <= Level::Warn {
                "warning"
            } else {
                "notice"
            };
            say(&format!("{kind}: {text}"));
        }
    }

    fn flush(&self) {}
}
