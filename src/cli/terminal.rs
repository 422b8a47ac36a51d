//! The terminal as it hears of the library's work.

use std::cell::RefCell;

use super::progress::{Progress, say};
use crate::run::Listener;

/// Says what it hears, and shows the progress of tasks.
#[derive(Default)]
pub struct Terminal(RefCell<Option<Progress>>);

impl Listener for Terminal {
    fn says(&self, words: &str) {
        match &*self.0.borrow() {
            Some(progress) => progress.say(words),
            None => say(words),
        }
    }

    fn begins(&self, parts: u64) {
        *self.0.borrow_mut() = Some(Progress::new(parts, 0));
    }

    fn reaches(&self, parts: u64) {
        self.0.borrow().iter().for_each(|progress| progress.at(parts));
    }

    fn ends(&self) {
        self.0.take().iter().for_each(Progress::finish);
    }
}
