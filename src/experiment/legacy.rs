//! Files of earlier versions: what their keys meant, in today's keys.

use serde_yaml::{Mapping, Value};

use crate::config::yaml;
use crate::error::Result;

/// Keys of `sampler` that moved into its kernel.
const OF_KERNEL: [&str; 9] = [
    "step_size",
    "inner",
    "noise_scale",
    "temperature",
    "grad_clip",
    "clamp",
    "order",
    "step_schedule",
    "noise_schedule",
];

/// Keys of `sampler` that moved into `compute`.
const OF_COMPUTE: [&str; 3] = ["precision", "layout", "chain_batch"];

/// Keys of `objective` that moved into a section, and their keys there.
const OF_SECTIONS: [(&str, &str, &str); 5] = [
    ("negatives", "sampler", "start"),
    ("chains", "sampler", "classes"),
    ("data_noise", "data", "noise"),
    ("labelled_noise", "data", "labelled_noise"),
    ("statistics", "train", "statistics"),
];

/// Weights of `objective` that became terms.
const WEIGHTS: [(&str, &str); 6] = [
    ("p_x_weight", "contrastive"),
    ("p_y_given_x_weight", "cross-entropy"),
    ("p_x_given_y_weight", "conditional"),
    ("p_x_y_weight", "joint"),
    ("kl_weight", "chain-kl"),
    ("entropy_weight", "chain-entropy"),
];

/// Keys of `objective` that terms share: their key in a term, and the terms that take them.
const SHARED: [(&str, &str, &[&str]); 3] = [
    ("label_smoothing", "label_smoothing", &["cross-entropy"]),
    ("energy_reg", "energy_reg", &["contrastive", "conditional", "joint"]),
    (
        "p_x_from",
        "from",
        &["contrastive", "conditional", "joint", "chain-kl", "chain-entropy"],
    ),
];

/// Turns a file of an earlier version into today's form, and says where a meaning moved; a file of
/// today's form stays as it is.
///
/// A key that has no new place stays, and is then refused as unknown.
pub fn upgrade(root: &mut Value) -> Vec<String> {
    let notices = balanced_classes(root).into_iter().collect();
    move_keys(root, true);
    notices
}

/// The same with `path.to.key=value` changes, in today's keys or in those of an earlier version.
///
/// # Errors
/// Those of [`yaml::set`].
pub(super) fn apply(root: &mut Value, sets: &[String]) -> Result<Vec<String>> {
    // Keys of an earlier version mean on its files what they meant, whichever other keys stand there.
    let of_old = |set: &&String| {
        set.strip_prefix("objective.")
            .is_some_and(|path| is_old(split_key(path).0))
    };
    let (old, new): (Vec<&String>, Vec<&String>) = sets.iter().partition(of_old);
    let whole = root.get("objective").is_none_or(|objective| {
        let keys = objective.as_mapping().into_iter().flat_map(|map| map.keys());
        keys.into_iter().all(|key| key.as_str().is_some_and(is_old))
    });
    if whole {
        old.iter().try_for_each(|set| yaml::set(root, set))?;
    }
    let mut notices = upgrade(root);
    if !whole {
        old.iter().try_for_each(|set| yaml::set(root, set))?;
    }
    for set in new {
        yaml::set(root, &today(root, set))?;
        if split_key(set).0 == "objective" && set["objective".len()..].starts_with('=') {
            notices.extend(upgrade(root));
        }
    }
    move_keys(root, false);
    Ok(notices)
}

/// Whether a key of `objective` is of an earlier version.
fn is_old(key: &str) -> bool {
    WEIGHTS.iter().any(|(old, _)| *old == key)
        || SHARED.iter().any(|(old, ..)| *old == key)
        || OF_SECTIONS.iter().any(|(old, ..)| *old == key)
}

/// Moves every key of an earlier version to its place of today; `whole` says that an objective of
/// such keys alone is all that its file says, and so has the terms that it leaves out by default.
fn move_keys(root: &mut Value, whole: bool) {
    if let Some(map) = root.as_mapping_mut() {
        sampler(map);
        objective(map, whole);
    }
}

/// An assignment to a key of the sampler, with the key's path of today.
fn today(root: &Value, assignment: &str) -> String {
    let Some((key, rest)) = assignment.strip_prefix("sampler.").map(split_key) else {
        return assignment.to_owned();
    };
    if OF_COMPUTE.contains(&key) {
        return format!("compute.{key}{rest}");
    }
    match OF_KERNEL.contains(&key) {
        true => format!("sampler.kernel.{}.{key}{rest}", kernel_of(root)),
        false => assignment.to_owned(),
    }
}

/// The first key of a path, and what follows it.
fn split_key(path: &str) -> (&str, &str) {
    path.split_at(path.find(['.', '=']).unwrap_or(path.len()))
}

/// The word of the tree's kernel.
fn kernel_of(root: &Value) -> String {
    let kernel = root.get("sampler").and_then(|sampler| sampler.get("kernel"));
    let word = kernel.and_then(|kernel| kernel.as_mapping()?.keys().next()?.as_str());
    word.unwrap_or("langevin").to_owned()
}

/// The mapping at a key, made where there is none; nothing where something else stands there.
fn section<'a>(map: &'a mut Mapping, key: &str) -> Option<&'a mut Mapping> {
    let slot = map.entry(key.into()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Mapping(Mapping::new());
    }
    slot.as_mapping_mut()
}

/// What moved out of `sampler`.
fn sampler(root: &mut Mapping) {
    let Some(sampler) = root.get_mut("sampler").and_then(Value::as_mapping_mut) else {
        return;
    };
    let computed: Vec<(&str, Value)> = take(sampler, &OF_COMPUTE);
    let moved = take(sampler, &OF_KERNEL);
    if !moved.is_empty()
        && let Some(kernel) = section(sampler, "kernel")
    {
        let word = kernel
            .keys()
            .next()
            .and_then(Value::as_str)
            .unwrap_or("langevin")
            .to_owned();
        if let Some(own) = section(kernel, &word) {
            own.extend(moved.into_iter().map(|(key, value)| (key.into(), value)));
        }
    }
    for (key, value) in computed {
        if let Some(compute) = section(root, "compute") {
            compute.insert(key.into(), value);
        }
    }
}

/// Takes some keys out of a mapping.
fn take<'a>(map: &mut Mapping, keys: &[&'a str]) -> Vec<(&'a str, Value)> {
    let found = keys.iter().map(|key| (*key, map.shift_remove(*key)));
    found.filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What moved out of `objective`, and what became a term of it.
fn objective(root: &mut Mapping, whole: bool) {
    // The default is written out, so that a term that is set stands beside it.
    if whole
        && root.get("objective").is_none_or(Value::is_null)
        && let Some(objective) = section(root, "objective")
    {
        section(objective, "contrastive");
    }
    let Some(objective) = root.get_mut("objective").and_then(Value::as_mapping_mut) else {
        return;
    };
    let old = objective.keys().filter(|key| key.as_str().is_some_and(is_old)).count();
    let whole = whole && old > 0 && old == objective.len();
    let moved: Vec<_> = OF_SECTIONS
        .iter()
        .filter_map(|place| Some((place, objective.shift_remove(place.0)?)))
        .collect();
    terms(objective, whole);
    for ((_, into, key), value) in moved {
        // Null stands for the default, which is named by leaving the key out.
        if let (Some(section), false) = (section(root, into), value.is_null()) {
            section.insert((*key).into(), renamed(value));
        }
    }
}

/// The terms of weights; `whole` says that the mapping is a whole objective of an earlier version,
/// in which p(x) has the weight 1 unless it says else.
fn terms(objective: &mut Mapping, whole: bool) {
    if whole && !objective.contains_key("p_x_weight") {
        section(objective, "contrastive");
    }
    for (old, term) in WEIGHTS {
        let Some(weight) = objective.shift_remove(old) else {
            continue;
        };
        if weight.as_f64() == Some(0.0) {
            objective.shift_remove(term);
        } else if let Some(own) = section(objective, term) {
            own.insert("weight".into(), weight);
        }
    }
    for (old, key, of) in SHARED {
        let those: Vec<&str> = of
            .iter()
            .filter(|term| objective.contains_key(**term))
            .copied()
            .collect();
        // Smoothing without a label is refused, as it always was; other numbers had no use, and were
        // no fault.
        let says = |value: &Value| value.as_f64() != Some(0.0);
        let labels = ["conditional", "joint"]
            .iter()
            .any(|term| objective.contains_key(*term));
        let orphan = old == "label_smoothing" && those.is_empty() && !labels;
        if orphan && objective.get(old).is_some_and(says) {
            continue;
        }
        let Some(value) = objective.shift_remove(old) else {
            continue;
        };
        for term in those {
            if let Some(own) = section(objective, term) {
                own.insert(key.into(), value.clone());
            }
        }
    }
}

/// Words that changed with their keys.
fn renamed(value: Value) -> Value {
    match value.as_str() {
        Some("marginal" | "joint") => "none".into(),
        Some("by-class") => "kept".into(),
        Some("with-class") => "drawn".into(),
        _ => value,
    }
}

/// Turns the objective of an earlier version into today's, and says so where its meaning moved.
///
/// Earlier versions let chains that keep their class stand for p(x) and p(x,y). That is right only
/// where the model's p(y) is uniform, as it is of balanced data, and there it meant what is set
/// here. Their files name `p_x_y_weight` and cannot name `p_x_given_y_weight`.
fn balanced_classes(root: &mut Value) -> Option<String> {
    let objective = root.get_mut("objective")?.as_mapping_mut()?;
    let of_old = objective.contains_key("p_x_y_weight") && !objective.contains_key("p_x_given_y_weight");
    if !of_old || objective.get("chains")?.as_str()? != "by-class" {
        return None;
    }
    let weight = |key: &str, default: f64| objective.get(key).map_or(Some(default), Value::as_f64);
    let (p_x, p_x_y) = (weight("p_x_weight", 1.0)?, weight("p_x_y_weight", 0.0)?);
    let meant = if p_x > 0.0 {
        objective.insert("chains".into(), "with-class".into());
        "sampler.classes: drawn, with the same weights"
    } else if p_x_y > 0.0 {
        objective.insert("p_x_given_y_weight".into(), p_x_y.into());
        objective.insert("p_x_y_weight".into(), 0.0.into());
        // It was inside the term of p(x) alone, which has no weight here.
        objective.insert("energy_reg".into(), 0.0.into());
        "the term conditional in the place of p_x_y_weight"
    } else {
        return None;
    };
    Some(format!(
        "objective: chains that keep their class follow p(x|y), and this file of an earlier version takes them for p(x) or p(x,y), \
         as balanced classes allow; it is read as {meant}"
    ))
}
