//! What the library warns of, said once each on stderr.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::progress::say;
use log::{LevelFilter, Log, Metadata, Record};

/// Says each warning of this library once, however often the same data are opened.
struct Warnings(Mutex<BTreeSet<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(BTreeSet::new()));

/// From here on warnings are said.
pub fn listen() {
    if log::set_logger(&WARNINGS).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for Warnings {
    fn enabled(&self, about: &Metadata) -> bool {
        about.level() <= LevelFilter::Warn && about.target().starts_with("ebm")
    }

    fn log(&self, record: &Record) {
        let text = record.args().to_string();
        let mut said = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.enabled(record.metadata()) && said.insert(text.clone()) {
            say(&format!("warning: {text}"));
        }
    }

    fn flush(&self) {}
}
