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
    if let Some(map) = root.as_mapping_mut() {
        sampler(map);
        objective(map);
    }
    notices
}

/// Applies `path.to.key=value` in today's keys or in those of an earlier version to a tree of
/// today's form.
///
/// # Errors
/// Those of [`yaml::set`].
pub(super) fn set(root: &mut Value, assignment: &str) -> Result<()> {
    yaml::set(root, &today(root, assignment))
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
fn objective(root: &mut Mapping) {
    // The default is written out, so that a term that is set stands beside it.
    if root.get("objective").is_none_or(Value::is_null)
        && let Some(objective) = section(root, "objective")
    {
        section(objective, "contrastive");
    }
    let Some(objective) = root.get_mut("objective").and_then(Value::as_mapping_mut) else {
        return;
    };
    let moved: Vec<_> = OF_SECTIONS
        .iter()
        .filter_map(|place| Some((place, objective.shift_remove(place.0)?)))
        .collect();
    let of_old = !moved.is_empty() || WEIGHTS.iter().any(|(key, _)| objective.contains_key(key));
    let of_old = of_old || SHARED.iter().any(|(key, ..)| objective.contains_key(key));
    let of_new = objective
        .keys()
        .any(|key| WEIGHTS.iter().all(|(old, _)| key != *old) && SHARED.iter().all(|(old, ..)| key != *old));
    if of_old && !of_new {
        terms(objective, true);
    } else if of_old {
        terms(objective, false);
    }
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
        // What no term takes is refused where it says anything.
        let says = |value: &Value| value.as_f64() != Some(0.0);
        if those.is_empty() && objective.get(old).is_some_and(says) {
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
        "chains: with-class, with the same weights"
    } else if p_x_y > 0.0 {
        objective.insert("p_x_given_y_weight".into(), p_x_y.into());
        objective.insert("p_x_y_weight".into(), 0.0.into());
        // It was inside the term of p(x) alone, which has no weight here.
        objective.insert("energy_reg".into(), 0.0.into());
        "p_x_given_y_weight in the place of p_x_y_weight"
    } else {
        return None;
    };
    Some(format!(
        "objective: chains that keep their class follow p(x|y), and this file of an earlier version takes them for p(x) or p(x,y), \
         as balanced classes allow; it is read as {meant}"
    ))
}
