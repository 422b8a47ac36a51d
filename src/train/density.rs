//! The picture of a density in the plane, with samples and data over it.

use std::path::Path;

use tch::Tensor;

use super::draws::from_noise;
use super::view::View;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{AREA, grid, log_density_grid, total_variation};
use crate::experiment::Experiment;
use crate::models::{Model, score_form};
use crate::report::{self, DATA_COLOUR, Dots, HeatPanel, SAMPLE_COLOUR};

/// Cells of a side of the picture's grid.
const CELLS: i64 = 256;

/// Cells of a side of the grid that distances are taken on.
const DISTANCE_CELLS: i64 = 128;

/// Points of the data that are drawn at most.
const POINTS: i64 = 1000;

/// What is drawn over a density, f32 `[n,2]` each.
#[derive(Debug, Default)]
pub struct Over {
    /// Points of the data.
    pub data: Option<Tensor>,
    /// Where chains ended.
    pub samples: Option<Tensor>,
}

/// Draws the density exp(-E/T) of a model of points in the plane into the PNG `path`.
///
/// # Errors
/// When states have other than two numbers, or an energy is not finite.
pub fn density_map(e: &Experiment, model: &dyn Model, over: &Over, title: &str, path: &Path) -> Result<()> {
    ensure_plane(e)?;
    let temperature = e.temperature();
    let frozen = model.freeze(score_form(&e.compute, temperature));
    let density = log_density_grid(&frozen.outputs().any(), temperature, CELLS, model.device())?;
    let dots = |name, colour| move |points| Dots { name, points, colour };
    let data = over.data.iter().map(dots("data", DATA_COLOUR));
    let samples = over.samples.iter().map(dots("samples", SAMPLE_COLOUR));
    let panel = HeatPanel {
        title,
        log_density: &density,
        area: AREA,
        dots: data.chain(samples).collect(),
    };
    report::heat_map(&panel, path)
}

/// Refuses the picture of states that are no points in the plane.
///
/// # Errors
/// States have other than two numbers.
pub fn ensure_plane(e: &Experiment) -> Result<()> {
    match e.space().point() {
        Some(2) => Ok(()),
        _ => Err(Error::input(
            "a heat map",
            format!(
                "shows points of 2 numbers, and the states are of shape {:?}",
                e.model.input()
            ),
            "write the points as NAME.npy",
        )),
    }
}

/// The total-variation distance between the density of a model and that of the run's data, on a
/// grid, where it is known.
pub(super) fn distance(view: &View, model: &dyn Model) -> Result<Option<f64>> {
    let e = view.experiment;
    let Dataset::Toy(toy) = &e.data.dataset else {
        return Ok(None);
    };
    let Some(truth) = toy.density.log_density(&grid(DISTANCE_CELLS, view.device)) else {
        return Ok(None);
    };
    let temperature = e.temperature();
    let frozen = model.freeze(score_form(&e.compute, temperature));
    let found = log_density_grid(&frozen.outputs().any(), temperature, DISTANCE_CELLS, view.device)?;
    Ok(Some(total_variation(&found, &truth)))
}

/// Draws the density of a run, by its averaged weights, with its own samples and data over it;
/// `step` hears of each step of the chains.
///
/// Points of other than two numbers have no such picture; nothing is drawn then.
pub(super) fn of_run(view: &View, path: &Path, step: &mut dyn FnMut(u64)) -> Result<()> {
    let e = view.experiment;
    if e.space().point() != Some(2) {
        return Ok(());
    }
    let model = view.averaged()?;
    let samples = match e.synthesises() {
        true => Some(from_noise(&*model, view, e.report.images as i64, step)?.states),
        false => None,
    };
    let over = Over {
        data: Some(view.data.train.chunk(0, POINTS)),
        samples,
    };
    let title = format!("{}, step {}", e.name, view.state.step);
    density_map(e, &*model, &over, &title, path)
}
