//! Files of earlier versions: what their keys meant, in today's keys.

use serde_yaml::Value;

/// Turns the objective of an earlier version into today's, and says so where its meaning moved.
///
/// Earlier versions let chains that keep their class stand for p(x) and p(x,y). That is right only
/// where the model's p(y) is uniform, as it is of balanced data, and there it meant what is set
/// here. Their files name `p_x_y_weight` and cannot name `p_x_given_y_weight`.
pub(super) fn objective(root: &mut Value) -> Option<String> {
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
