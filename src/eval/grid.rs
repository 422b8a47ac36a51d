//! An energy in the plane on a grid: its density, normalised by the sum over the grid.

use tch::{Device, Kind, Tensor};

use super::passes::outputs;
use crate::energy::Energy;
use crate::error::Result;

/// The square that densities of points are looked at in: x and y from -4 to 4.
pub const AREA: [f64; 4] = [-4.0, 4.0, -4.0, 4.0];

/// Points whose energies are computed together.
const BATCH: usize = 4096;

/// The middles of the cells of a square grid over [`AREA`], f32 `[cells^2,2]`, row by row from the
/// lowest y.
pub fn grid(cells: i64, device: Device) -> Tensor {
    let [x0, x1, y0, y1] = AREA;
    let middles = |low: f64, high: f64| {
        (Tensor::arange(cells, (Kind::Float, device)) + 0.5) * ((high - low) / cells as f64) + low
    };
    let (x, y) = (middles(x0, x1), middles(y0, y1));
    let x = x.unsqueeze(0).expand([cells, cells], false);
    let y = y.unsqueeze(1).expand([cells, cells], false);
    Tensor::stack(&[x, y], 2).view([-1, 2])
}

/// The area of a cell of such a grid.
fn cell(cells: i64) -> f64 {
    let [x0, x1, y0, y1] = AREA;
    (x1 - x0) * (y1 - y0) / (cells * cells) as f64
}

/// log p(x) of exp(-E/T) on the grid, f64 `[cells,cells]` (row 0 has the lowest y), normalised so that
/// it integrates to 1 over [`AREA`].
///
/// # Errors
/// When an energy is not finite.
pub fn log_density_grid(energy: &dyn Energy, temperature: f64, cells: i64, device: Device) -> Result<Tensor> {
    let energies = outputs(&|x| Ok(energy.energy(x)), &grid(cells, device), BATCH)?;
    let log = energies.to_kind(Kind::Double) / -temperature;
    let log_z = log.logsumexp(0, false) + cell(cells).ln();
    Ok((log - log_z).view([cells, cells]))
}

/// The total-variation distance between a density on the grid, `[cells,cells]`, and the masses that
/// `truth`, log q at the middles, `[cells^2]`, gives the cells; both are normalised over [`AREA`].
pub fn total_variation(log_density: &Tensor, truth: &Tensor) -> f64 {
    let share = |log: &Tensor| log.flatten(0, -1).to_kind(Kind::Double).softmax(0, Kind::Double);
    let difference = share(log_density) - share(truth);
    difference.abs().sum(Kind::Double).double_value(&[]) / 2.0
}
