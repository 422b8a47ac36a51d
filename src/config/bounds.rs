//! Bounds of a YAML text, looked at event by event before a tree is made of it: how deep it nests,
//! what it grows to.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// Bytes of the longest text that is read; the largest architecture is a thousandth of it.
pub const MOST_BYTES: u64 = 16 << 20;

/// Lists and sections inside each other; no architecture comes near.
const DEEPEST: usize = 100;

/// Values of a text once every alias is replaced by what it stands for.
const MOST_VALUES: u64 = 1_000_000;

/// What is wrong with a text, and the remedy.
type Fault = (String, &'static str);

/// Refuses a text that nests too deeply or whose aliases multiply to too much; takes time in
/// proportion to its length.
pub fn check(text: &str) -> Result<(), Fault> {
    let mut tally = Tally::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let (at, what) = (e.marker(), e.info());
            // The parser looks ahead over brackets, and has a bound of its own on them.
            if what == "recursion limit exceeded" {
                return too_deep();
            }
            let place = format!("line {} column {}", at.line(), at.col() + 1);
            (
                format!("not valid YAML: {what} at {place}"),
                "mend the syntax at that line",
            )
        })?;
        let fault = tally.take(&event);
        fault.map_err(|(what, remedy)| (format!("line {}: {what}", span.start.line()), remedy))?;
    }
    Ok(())
}

/// Refuses more lists and sections inside each other than any file has.
pub fn check_depth(depth: usize) -> Result<(), Fault> {
    if depth <= DEEPEST { Ok(()) } else { Err(too_deep()) }
}

fn too_deep() -> Fault {
    let what = format!("lists and sections lie inside each other more than {DEEPEST} deep");
    (what, "write what lies inside as a row")
}

/// How many values there are so far, and how many each anchor stands for.
#[derive(Default)]
struct Tally {
    values: u64,
    /// Of each list or section that is open: its anchor, and the values before it.
    open: Vec<(usize, u64)>,
    anchors: HashMap<usize, u64>,
}

impl Tally {
    fn take(&mut self, event: &Event) -> Result<(), Fault> {
        match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                self.open.push((*anchor, self.values));
                self.values += 1;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, before)) = self.open.pop() {
                    self.note(anchor, self.values - before);
                }
            }
            Event::Scalar(_, _, anchor, _) => {
                self.values += 1;
                self.note(*anchor, 1);
            }
            Event::Alias(anchor) => {
                let stands_for = self.anchors.get(anchor).copied().unwrap_or(1);
                self.values = self.values.saturating_add(stands_for);
            }
            _ => {}
        }
        self.judge()
    }

    /// An anchor of 0 is none.
    fn note(&mut self, anchor: usize, values: u64) {
        if anchor > 0 {
            self.anchors.insert(anchor, values);
        }
    }

    fn judge(&self) -> Result<(), Fault> {
        check_depth(self.open.len())?;
        if self.values > MOST_VALUES {
            let what = format!("more than {MOST_VALUES} values, aliases counted as what they stand for");
            return Err((what, "write a shorter file"));
        }
        Ok(())
    }
}
