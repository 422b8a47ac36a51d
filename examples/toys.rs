// Puts the learned densities of runs on points into one picture, with data over each.
use std::path::{Path, PathBuf};

use ebm::eval::{AREA, log_density_grid};
use ebm::models::score_form;
use ebm::report::{self, DATA_COLOUR, Dots, HeatPanel};
use ebm::run::{self, RunDir, Weights, Which, own_data};
use tch::{Device, Tensor};

/// A run's name, its log density on a grid, and some points of its data.
fn density(run: &Path) -> ebm::Result<(String, Tensor, Tensor)> {
    let run = RunDir::open(run)?;
    let trained = run::load(&run, Which::Last, Weights::Ema, Device::Cpu)?;
    let e = &trained.experiment;
    let frozen = trained.model.freeze(score_form(&e.compute, e.temperature()));
    let grid = log_density_grid(&frozen.outputs().any(), e.temperature(), 256, Device::Cpu)?;
    let data = own_data::open(&run, e, Device::Cpu)?.train.chunk(0, 500);
    Ok((e.name.clone(), grid, data))
}

fn draw(runs: &[PathBuf], columns: usize, png: &Path) -> ebm::Result<()> {
    let found = runs.iter().map(|run| density(run)).collect::<ebm::Result<Vec<_>>>()?;
    let panels = found.iter().map(|(name, log_density, points)| HeatPanel {
        title: name,
        log_density,
        area: AREA,
        dots: vec![Dots {
            name: "data",
            points,
            colour: DATA_COLOUR,
        }],
    });
    report::heat_maps(&panels.collect::<Vec<_>>(), columns, png)
}

/// `cargo run --release --example toys -- RUN ... PICTURE.png`
fn main() -> ebm::Result<()> {
    let mut paths: Vec<PathBuf> = std::env::args().skip(1).map(Into::into).collect();
    let png = paths.pop().unwrap_or_else(|| "toys.png".into());
    draw(&paths, 3, &png)
}
