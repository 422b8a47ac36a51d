//! The figures of recorded chains as a table.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use tch::{Kind, Tensor};

use super::moments::{mean_and_std, rows, values};
use super::{ess, rhat};
use crate::error::Result;
use crate::report::{self, TracePanel, table};

/// Chains that a picture shows.
const SHOWN: i64 = 8;

/// One scalar quantity of every chain at every step.
#[derive(Debug)]
pub struct Trace {
    /// What it is, such as `energy` or `projection 1`.
    pub name: String,
    /// `[steps, B]`, f32 on the host, warm-up included.
    pub values: Tensor,
}

impl Trace {
    pub(super) fn new(name: &str, values: Tensor) -> Self {
        Self {
            name: name.into(),
            values,
        }
    }
}

/// The figures of one quantity; one that is not a number is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What the quantity is.
    pub name: String,
    /// The mean over draws and chains.
    pub mean: Option<f64>,
    /// The standard deviation over draws and chains.
    pub std: Option<f64>,
    /// The Monte Carlo standard error of the mean.
    pub mcse: Option<f64>,
    /// The effective sample size of the bulk.
    pub ess_bulk: Option<f64>,
    /// The effective sample size of the tails.
    pub ess_tail: Option<f64>,
    /// Rank-normalised split R-hat.
    pub rhat: Option<f64>,
}

/// How well recorded chains have mixed; its text is a table.
#[derive(Debug, Serialize)]
pub struct Diagnostics {
    /// How many chains there are.
    pub chains: usize,
    /// How many steps of each enter the figures.
    pub draws: usize,
    /// How many steps before them do not.
    pub warm_up: usize,
    /// The mean probability of acceptance after warm-up, for kernels that reject.
    pub acceptance: Option<f64>,
    /// The mean number of gradients that a step takes after warm-up, for kernels whose steps differ
    /// in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradients: Option<f64>,
    /// The mean probability of a swap after warm-up of each pair of neighbours, coldest first, for
    /// kernels that swap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<f64>,
    /// The figures, a row a quantity.
    pub rows: Vec<Row>,
    /// The traces, one a row, warm-up included.
    #[serde(skip)]
    pub traces: Vec<Trace>,
}

impl Diagnostics {
    /// Of traces of the same size, without their first `warm_up` steps.
    pub(super) fn new(traces: Vec<Trace>, warm_up: usize) -> Self {
        let size = traces.first().map_or(vec![0, 0], |t| t.values.size());
        let warm_up = warm_up.min(size[0] as usize);
        Self {
            chains: size[1] as usize,
            draws: size[0] as usize - warm_up,
            warm_up,
            acceptance: None,
            gradients: None,
            swaps: Vec::new(),
            rows: traces.iter().map(|t| row(&t.name, &after(t, warm_up))).collect(),
            traces,
        }
    }

    /// Draws the traces of the first 8 chains at most, and their autocorrelation, as the PNG
    /// `path`.
    ///
    /// # Errors
    /// Where a value is not finite, there are no draws, or the picture cannot be written.
    pub fn draw(&self, title: &str, path: &Path) -> Result<()> {
        let panels: Vec<TracePanel> = self.traces.iter().map(|t| self.panel(t)).collect();
        report::traces(&panels, self.warm_up, title, path)
    }

    fn panel(&self, trace: &Trace) -> TracePanel {
        let shown = trace.values.narrow(1, 0, SHOWN.min(self.chains as i64));
        let draws = shown.narrow(0, self.warm_up as i64, self.draws as i64);
        TracePanel {
            name: trace.name.clone(),
            chains: split(&rows(&shown)),
            autocorrelation: split(&ess::autocorrelation(&draws).tr()),
        }
    }
}

fn after(trace: &Trace, warm_up: usize) -> Tensor {
    let steps = trace.values.size()[0];
    trace.values.narrow(0, warm_up as i64, steps - warm_up as i64)
}

fn row(name: &str, trace: &Tensor) -> Row {
    let (mean, std) = mean_and_std(&rows(trace).to_kind(Kind::Double));
    Row {
        name: name.into(),
        mean,
        std,
        mcse: ess::mcse_mean(trace),
        ess_bulk: ess::ess_bulk(trace),
        ess_tail: ess::ess_tail(trace),
        rhat: rhat::split_rhat(trace),
    }
}

/// The rows of a matrix.
fn split(rows: &Tensor) -> Vec<Vec<f64>> {
    (0..rows.size()[0]).map(|i| values(&rows.get(i))).collect()
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let header = ["quantity", "mean", "std", "mcse", "ess bulk", "ess tail", "R-hat"];
        let lines: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        f.write_str(&table(&header, &lines))?;
        let (chains, draws, warm_up) = (self.chains, self.draws, self.warm_up);
        write!(f, "{chains} chains of {draws} draws after {warm_up} of warm-up")?;
        if let Some(acceptance) = self.acceptance {
            write!(f, "; accepted {:.1} %", 100.0 * acceptance)?;
        }
        if let Some(gradients) = self.gradients {
            write!(f, "; {gradients:.1} gradients a step")?;
        }
        if !self.swaps.is_empty() {
            let each: Vec<String> = self.swaps.iter().map(|p| format!("{:.0} %", 100.0 * p)).collect();
            write!(f, "; swapped {}", each.join(", "))?;
        }
        writeln!(f)
    }
}

fn cells(row: &Row) -> Vec<String> {
    let cell = |value: Option<f64>, decimals: usize| match value {
        Some(value) => format!("{value:.decimals$}"),
        None => "-".into(),
    };
    vec![
        row.name.clone(),
        cell(row.mean, 4),
        cell(row.std, 4),
        cell(row.mcse, 4),
        cell(row.ess_bulk, 0),
        cell(row.ess_tail, 0),
        cell(row.rhat, 3),
    ]
}
