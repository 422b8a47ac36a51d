//! What the quality monitor measures where states are points.

use super::density;
use super::draws;
use super::view::View;
use crate::error::Result;
use crate::eval::energy_distance;
use crate::models::Model;
use crate::rng::Stream;

/// Validation points that distances are measured from, at most.
const MOST_REAL: i64 = 2000;

/// The distance of fresh chains: every look at points takes it, and its line is known by it.
pub(super) const ALWAYS: &str = "energy_distance_fresh";

/// Energy distances of fresh chains and of the buffer to validation points, beside those of what
/// chains start from and of training points; and the distance to a density that is known.
pub(super) fn look(view: &View, model: &dyn Model) -> Result<Vec<(&'static str, f64)>> {
    let e = view.experiment;
    let n = e.evaluate.images as i64;
    let real = view.data.validation.chunk(0, MOST_REAL);
    let stream = |name: &str| Stream::new(e.seed, name);
    let fresh = draws::from_noise(model, view, n, &mut |_| ())?.states;
    let starts = view.starts(n, None, &mut stream("starts"))?;
    let train = view.data.train.random(n, &mut stream("monitor-train"));
    let mut found = vec![
        (ALWAYS, energy_distance(&fresh, &real)?),
        ("energy_distance_start", energy_distance(&starts, &real)?),
        ("energy_distance_train", energy_distance(&train, &real)?),
    ];
    if let Some(buffer) = &view.state.buffer {
        let kept = buffer.peek(n, &mut stream("monitor").derive(view.state.step));
        found.push(("energy_distance_buffer", energy_distance(&kept, &real)?));
    }
    if e.space().point() == Some(2) {
        found.extend(density::distance(view, model)?.map(|value| ("total_variation", value)));
    }
    Ok(found)
}
