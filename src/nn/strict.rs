//! Strict loading: every name, shape and kind is compared before a single number is copied.

use std::collections::BTreeMap;

use tch::Tensor;

use super::plan::Slot;
use crate::error::{Error, Result};
use crate::files;

/// At most so many names are listed of each fault.
const LISTED: usize = 5;

/// Compares what is given with what the slots expect; numbers must be finite.
pub(super) fn check(slots: &[Slot], named: &BTreeMap<String, Tensor>, place: &str) -> Result<()> {
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for slot in slots {
        match named.get(&slot.name) {
            None => missing.push(slot.name.clone()),
            Some(t) if t.size() != slot.shape || t.kind() != slot.kind => wrong.push(format!(
                "{} is {:?} {:?}, expected {:?} {:?}",
                slot.name,
                t.kind(),
                t.size(),
                slot.kind,
                slot.shape
            )),
            Some(_) => {}
        }
    }
    let extra: Vec<String> = named
        .keys()
        .filter(|name| slots.iter().all(|s| &s.name != *name))
        .cloned()
        .collect();
    let faults: Vec<String> = [("missing", missing), ("not of this network", extra), ("misfit", wrong)]
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(fault, names)| listed(fault, names))
        .collect();
    if faults.is_empty() {
        return files::ensure_finite(named, place);
    }
    Err(Error::input(
        place,
        format!("the weights do not fit the network; {}", faults.join("; ")),
        "give weights that were saved from this architecture, or rename and convert them first",
    ))
}

fn listed(fault: &str, names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>();
    let more = names.len().saturating_sub(LISTED);
    let tail = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    format!("{fault} ({}): {}{tail}", names.len(), shown.join(", "))
}
