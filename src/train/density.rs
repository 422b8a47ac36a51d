//! The picture of a run on points in the plane: its density, with samples and data over it.

use std::path::Path;

use super::draws::from_noise;
use super::view::View;
use crate::energy::score_energy;
use crate::error::Result;
use crate::eval::{AREA, log_density_grid};
use crate::report::{self, DATA_COLOUR, Dots, HeatPanel, SAMPLE_COLOUR};

/// Cells of a side of the picture's grid.
const CELLS: i64 = 256;

/// Points of the data, and samples, that are drawn at most.
const POINTS: i64 = 1000;

/// Draws the density of a run, by its averaged weights, into `path`; `step` hears of each step of the
/// chains that draw its samples.
///
/// States of other than two numbers have no such picture; nothing is drawn then.
pub(super) fn density_picture(view: &View, path: &Path, step: &mut dyn FnMut(u64)) -> Result<()> {
    let e = view.experiment;
    if e.space().point() != Some(2) {
        return Ok(());
    }
    let network = view.averaged()?;
    let energy = score_energy(&e.compute, &network, e.temperature());
    let density = log_density_grid(&energy, e.temperature(), CELLS, view.device)?;
    let samples = match e.synthesises() {
        true => Some(from_noise(&network, view, e.report.images as i64, step)?.states),
        false => None,
    };
    let data = view.data.train.chunk(0, POINTS);
    let dots = |name, points, colour| Dots { name, points, colour };
    let mut all = vec![dots("data", &data, DATA_COLOUR)];
    all.extend(samples.iter().map(|points| dots("samples", points, SAMPLE_COLOUR)));
    let panel = HeatPanel {
        title: &format!("{}, step {}", e.name, view.state.step),
        log_density: &density,
        area: AREA,
        dots: all,
    };
    report::heat_map(&panel, path)
}
