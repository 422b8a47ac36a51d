//! Traces of Markov chains and their autocorrelation as one picture.

use std::path::Path;

use plotters::prelude::*;

use super::axis::{Axis, Scale};
use super::plot::{self, Area, Chart, Drawn, FINE, INK, Words};
use crate::error::{Error, Result};

/// Pixels of the traces and of the autocorrelation of one quantity.
const PANEL: (u32, u32) = (760, 230);
const LAGS: u32 = 420;
/// Pixels above the panels.
const TOP: u32 = 40;
/// More points of a curve than this would fall on the same pixels.
const MOST_POINTS: usize = 1500;
/// The autocorrelation is drawn up to this share of the draws: of longer lags too few products are
/// known.
const LAG_SHARE: f64 = 0.25;
/// And from a correlation as low as this.
const LOWEST: f64 = -0.3;

/// One quantity of some chains.
#[derive(Debug, Clone, PartialEq)]
pub struct TracePanel {
    /// What it is.
    pub name: String,
    /// The values of each chain at every step, warm-up included, equally many of each.
    pub chains: Vec<Vec<f64>>,
    /// The autocorrelation of each chain after warm-up, from lag 0. NaN ends what is drawn of a
    /// chain.
    pub autocorrelation: Vec<Vec<f64>>,
}

/// Draws a row a quantity as the PNG `path`: the traces to the left, the autocorrelation to the
/// right.
///
/// A colour is a chain, the dark line the mean autocorrelation. The first `warm_up` steps have a
/// grey ground.
///
/// # Errors
/// Where there is no quantity, one has no value or one that is not finite, or the picture cannot be
/// written.
pub fn traces(panels: &[TracePanel], warm_up: usize, title: &str, path: &Path) -> Result<()> {
    if panels.is_empty() {
        let what = "expected traces of a quantity to draw, found none";
        return Err(Error::file(path, what, "record the chains while they run"));
    }
    for panel in panels {
        plot::finite(&panel.name, panel.chains.iter().flatten())?;
    }
    let size = (PANEL.0 + LAGS, TOP + PANEL.1 * panels.len() as u32);
    plot::write(size, path, |area| {
        let (head, body) = area.split_vertically((TOP * FINE) as i32);
        let style = plot::title_font();
        let middle = size.0.saturating_sub(plot::width(title, &style)?) / 2;
        head.draw_text(title, &style, ((middle * FINE) as i32, (14 * FINE) as i32))?;
        for (panel, row) in panels.iter().zip(body.split_evenly((panels.len(), 1))) {
            let (left, right) = row.split_horizontally((PANEL.0 * FINE) as i32);
            steps(&left, panel, warm_up)?;
            lags(&right, panel)?;
        }
        Ok(())
    })
}

/// The values of every chain, step by step.
fn steps(area: &Area, panel: &TracePanel, warm_up: usize) -> Drawn {
    let count = panel.chains.iter().map(Vec::len).max().unwrap_or(0);
    let last = count.max(2) as f64;
    let y = Axis::new(panel.chains.iter().flatten().copied(), Scale::Linear, 0.0);
    let (low, high) = (y.low, y.high);
    let words = Words {
        title: "",
        x: "step",
        y: &panel.name,
    };
    let mut chart = plot::chart(area, &words, (Axis::between(1.0, last, 8), y))?;
    if warm_up > 0 {
        let end = (warm_up as f64).min(last);
        let ground = Rectangle::new([(1.0, low), (end, high)], INK.mix(0.1).filled());
        chart.draw_series([ground])?;
    }
    for (i, chain) in panel.chains.iter().enumerate() {
        let points = thinned(chain).map(|(step, y)| (step as f64 + 1.0, y.clamp(low, high)));
        line(&mut chart, points, plot::colour(i).mix(0.75), FINE)?;
    }
    Ok(())
}

/// The autocorrelation of every chain, and the mean of them.
fn lags(area: &Area, panel: &TracePanel) -> Drawn {
    let count = panel.autocorrelation.iter().map(Vec::len).max().unwrap_or(0);
    let most = ((count as f64 * LAG_SHARE) as usize).clamp(1, count.max(2) - 1);
    let words = Words {
        title: "",
        x: "lag",
        y: "autocorrelation",
    };
    let axes = (Axis::between(0.0, most as f64, 6), Axis::between(LOWEST, 1.05, 5));
    let mut chart = plot::chart(area, &words, axes)?;
    line(
        &mut chart,
        [(0.0, 0.0), (most as f64, 0.0)].into_iter(),
        INK.mix(0.5),
        FINE,
    )?;
    let known: Vec<&[f64]> = panel
        .autocorrelation
        .iter()
        .map(|chain| &chain[..chain.len().min(most + 1)])
        .filter(|chain| chain.iter().all(|c| c.is_finite()))
        .collect();
    for (i, chain) in known.iter().enumerate() {
        let points = thinned(chain).map(|(lag, c)| (lag as f64, c.max(LOWEST)));
        line(&mut chart, points, plot::colour(i).mix(0.45), FINE)?;
    }
    let mean = |lag: usize| known.iter().map(|chain| chain[lag]).sum::<f64>() / known.len() as f64;
    let length = known.iter().map(|chain| chain.len()).min().unwrap_or(0);
    let mean: Vec<f64> = (0..length).map(mean).collect();
    let points = thinned(&mean).map(|(lag, c)| (lag as f64, c.max(LOWEST)));
    line(&mut chart, points, INK.mix(1.0), 2 * FINE)
}

/// Values with their places, at even distances where there are many.
fn thinned(values: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    let every = values.len().div_ceil(MOST_POINTS).max(1);
    values.iter().copied().enumerate().step_by(every)
}

fn line(chart: &mut Chart, points: impl Iterator<Item = (f64, f64)>, colour: RGBAColor, width: u32) -> Drawn {
    chart.draw_series(LineSeries::new(points, colour.stroke_width(width)))?;
    Ok(())
}
