// How far the learned densities of runs on points are from the truth: the total variation over the
// plane, and within each mode of the eight Gaussians and of the rings alone, where it does not
// count how likely a mode is.
use std::path::{Path, PathBuf};

use ebm::data::{Dataset, Toy};
use ebm::eval::{AREA, grid, log_density_grid};
use ebm::models::score_form;
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use tch::{Device, Kind, Tensor};

/// Cells of a side, as training ends with.
const CELLS: i64 = 128;
/// Points counted in cells where a density has no closed form; they leave a distance of about
/// 0.005.
const COUNTED: i64 = 16;
const AT_ONCE: i64 = 1_000_000;

/// The masses of cells, `[CELLS^2]`, f64, that add up to 1 over the area.
fn masses(toy: Toy) -> Tensor {
    if let Some(log) = toy.log_density(&grid(CELLS, Device::Cpu)) {
        return log.softmax(0, Kind::Double);
    }
    let mut rng = Stream::new(0, "truth");
    let counts = (0..COUNTED).map(|_| counts(&toy.points(AT_ONCE, &mut rng)));
    let counts = counts.reduce(|a, b| a + b).expect("points").to_kind(Kind::Double);
    &counts / counts.sum(Kind::Double)
}

/// How many points lie in each cell.
fn counts(points: &Tensor) -> Tensor {
    let [low, high, ..] = AREA;
    let cell = ((points - low) * (CELLS as f64 / (high - low))).floor();
    let inside = cell.ge(0.0).logical_and(&cell.lt(CELLS as f64)).all_dim(1, false);
    let index = cell.select(1, 1) * CELLS as f64 + cell.select(1, 0);
    index
        .masked_select(&inside)
        .to_kind(Kind::Int64)
        .bincount(None::<&Tensor>, CELLS * CELLS)
}

/// The nearest mode of each cell, i64 `[CELLS^2]`, and how many there are, of a density of separate
/// equal modes.
fn modes(toy: Toy) -> Option<(Tensor, i64)> {
    let at = grid(CELLS, Device::Cpu).to_kind(Kind::Double);
    let (x, y) = (at.select(1, 0), at.select(1, 1));
    let (nearest, count) = match toy {
        // A sector about each centre, the first to the right.
        Toy::EightGaussians => ((y.atan2(&x) * (4.0 / std::f64::consts::PI)).round().remainder(8.0), 8),
        // A band about each radius.
        Toy::Rings => (
            ((x.square() + y.square()).sqrt() / 0.8 - 1.0).round().clamp(0.0, 3.0),
            4,
        ),
        _ => return None,
    };
    Some((nearest.to_kind(Kind::Int64), count))
}

fn total_variation(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().sum(Kind::Double).double_value(&[]) / 2.0
}

/// The mean distance within a mode, and the shares of the modes in the model, as multiples of the
/// right one.
fn by_mode(toy: Toy, model: &Tensor, truth: &Tensor) -> Option<(f64, Vec<f64>)> {
    let (nearest, count) = modes(toy)?;
    let (mut within, mut shares) = (0.0, Vec::new());
    for mode in 0..count {
        let [ours, theirs] = [model, truth].map(|masses| masses.masked_select(&nearest.eq(mode)));
        let [own, due] = [&ours, &theirs].map(|masses| masses.sum(Kind::Double).double_value(&[]));
        within += total_variation(&(ours / own), &(theirs / due)) / count as f64;
        shares.push(own / due);
    }
    Some((within, shares))
}

/// The masses that a run's model gives the cells.
fn learned(run: &Path) -> ebm::Result<(String, Option<Toy>, Tensor)> {
    let run = RunDir::open(run)?;
    let trained = run::load(&run, Which::Last, Weights::Ema, Device::Cpu)?;
    let e = &trained.experiment;
    let frozen = trained.model.freeze(score_form(&e.compute, e.temperature()));
    let log = log_density_grid(&frozen.outputs().any(), e.temperature(), CELLS, Device::Cpu)?;
    let toy = match &e.data.dataset {
        Dataset::Toy(toy) => Some(toy.density),
        _ => None,
    };
    Ok((e.name.clone(), toy, log.flatten(0, -1).softmax(0, Kind::Double)))
}

/// `cargo run --release --example toy_distances -- RUN ...`
fn main() -> ebm::Result<()> {
    for path in std::env::args().skip(1).map(PathBuf::from) {
        let (name, toy, model) = learned(&path)?;
        let Some(toy) = toy else {
            println!("{name}: its data are no toy density");
            continue;
        };
        let truth = masses(toy);
        print!(
            "{}: total variation {:.3}",
            path.display(),
            total_variation(&model, &truth)
        );
        if let Some((within, shares)) = by_mode(toy, &model, &truth) {
            let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
            let most = shares.iter().copied().fold(0.0, f64::max);
            print!("; within a mode {within:.3}; a mode has {least:.2} to {most:.2} times its mass");
        }
        println!();
    }
    Ok(())
}
