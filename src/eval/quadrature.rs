//! log Z by quadrature, in one and two dimensions.

use tch::{Device, Kind, Tensor};

use super::passes::outputs;
use crate::energy::Energy;
use crate::error::Result;

/// Cells of a line, and of a side of a square.
const CELLS: [i64; 2] = [100_000, 1024];
/// Points whose energies are computed together.
const BATCH: usize = 16384;

/// The logarithm of the integral of exp(-E) over an interval, or the square of it, by the midpoint
/// rule.
///
/// # Errors
/// When an energy is not finite.
///
/// # Panics
/// For other than one or two numbers a state.
pub fn log_z_by_quadrature(energy: &dyn Energy, [low, high]: [f64; 2], numbers: i64, device: Device) -> Result<f64> {
    let cells = CELLS[numbers as usize - 1];
    let width = (high - low) / cells as f64;
    let line = (Tensor::arange(cells, (Kind::Double, device)) + 0.5) * width + low;
    let points = match numbers {
        1 => line.unsqueeze(1),
        _ => Tensor::stack(&Tensor::meshgrid_indexing(&[&line, &line], "ij"), -1).view([-1, 2]),
    };
    let energies = outputs(&|x| Ok(energy.energy(x)), &points.to_kind(Kind::Float), BATCH)?;
    let log = energies.to_kind(Kind::Double).neg().logsumexp(0, false);
    Ok(log.double_value(&[]) + numbers as f64 * width.ln())
}
