//! Who hears of work around a run while it goes on.

/// Hears of work while it goes on; a method that is not written hears nothing.
pub trait Listener {
    /// Words for a person, without a line break at their end.
    fn says(&self, _words: &str) {}
    /// A task of so many parts begins. One task goes on at a time.
    fn begins(&self, _parts: u64) {}
    /// So many parts of the task are done.
    fn reaches(&self, _parts: u64) {}
    /// The task is over.
    fn ends(&self) {}
}

/// Hears nothing.
impl Listener for () {}
