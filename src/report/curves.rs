//! The curves of a run as one picture, drawn from metrics.jsonl.

use std::collections::BTreeMap;
use std::path::Path;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::axis::{Axis, Scale, number};
use super::plot::{ALARM, Area, BLUE, Drawn, FAINT, FINE, GREEN, INK, ORANGE, PURPLE, font, title_font};
use super::{metrics, plot};
use crate::error::{Error, Result};

/// Pixels of a panel.
const PANEL: (u32, u32) = (700, 360);
const COLUMNS: usize = 2;

type Points = Vec<(f64, f64)>;
type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, Axis>>;

/// One pair of axes.
struct Panel {
    title: &'static str,
    /// Key in the log, words for the legend, colour.
    series: &'static [(&'static str, &'static str, RGBColor)],
    scale: Scale,
}

const PANELS: [Panel; 6] = [
    Panel {
        title: "Energy, mean over the batch (low = likely)",
        series: &[
            ("energy_pos", "data", BLUE),
            ("energy_neg", "synthesised", ORANGE),
            ("joint_energy_pos", "labelled, E(x,y)", INK),
            ("joint_energy_neg", "synthesised, E(x,y)", GREEN),
        ],
        scale: Scale::Linear,
    },
    Panel {
        title: "Energy gap, synthesised - data (healthy: swings around 0)",
        series: &[("energy_gap", "gap", PURPLE), ("joint_energy_gap", "gap of E(x,y)", GREEN)],
        scale: Scale::AroundZero,
    },
    Panel {
        title: "Loss",
        series: &[("loss", "loss", BLUE), ("cross_entropy", "cross entropy", ORANGE)],
        scale: Scale::Linear,
    },
    Panel {
        title: "Gradient norm of the parameters",
        series: &[("grad_norm", "parameters", GREEN)],
        scale: Scale::Log,
    },
    Panel {
        title: "Gradient norm along the chains, mean",
        series: &[("chain_grad_norm", "chains", GREEN)],
        scale: Scale::Log,
    },
    Panel {
        title: "Learning rate",
        series: &[("lr", "learning rate", INK)],
        scale: Scale::FromZero,
    },
];

/// What the log says, once each rollback has taken back what came after its target.
#[derive(Default)]
struct History {
    series: BTreeMap<&'static str, Points>,
    rollbacks: Vec<f64>,
    last: f64,
}

/// Draws the curves of the log `metrics` as the PNG `path`: energies, gap, loss, gradient norms and
/// learning rate, whichever of them were logged; rollbacks are vertical lines.
///
/// # Errors
/// Where the log cannot be read or holds no scalar, or the picture cannot be written.
pub fn curves(metrics: &Path, path: &Path) -> Result<()> {
    let history = History::read(metrics)?;
    let panels: Vec<&Panel> = PANELS
        .iter()
        .filter(|p| p.series.iter().any(|s| history.has(s.0)))
        .collect();
    if panels.is_empty() {
        let what = "expected scalars such as `loss`, found none";
        return Err(Error::file(metrics, what, "draw the curves once a step was logged"));
    }
    let columns = COLUMNS.min(panels.len());
    let rows = panels.len().div_ceil(columns);
    plot::write((PANEL.0 * columns as u32, PANEL.1 * rows as u32), path, |area| {
        for (panel, area) in panels.iter().zip(area.split_evenly((rows, columns))) {
            draw(panel, &history, &area)?;
        }
        Ok(())
    })
}

impl History {
    fn read(path: &Path) -> Result<Self> {
        let mut history = Self::default();
        for line in metrics::read(path)? {
            let Some(step) = line["step"].as_f64() else {
                continue;
            };
            if line["event"] == "rollback" {
                history.rollbacks.push(step);
                let to = line["to"].as_f64().unwrap_or(step);
                history.series.values_mut().for_each(|p| p.retain(|(x, _)| *x <= to));
            }
            for (key, _, _) in PANELS.iter().flat_map(|p| p.series) {
                if let Some(value) = line[*key].as_f64() {
                    history.series.entry(key).or_default().push((step, value));
                }
            }
            history.last = history.last.max(step);
        }
        Ok(history)
    }

    fn has(&self, key: &str) -> bool {
        self.series.get(key).is_some_and(|points| !points.is_empty())
    }

    /// The points of a series on its panel's scale.
    fn points(&self, key: &str, scale: Scale) -> Points {
        let points = self.series.get(key).into_iter().flatten().copied();
        match scale {
            Scale::Log => points.filter(|(_, y)| *y > 0.0).map(|(x, y)| (x, y.log10())).collect(),
            _ => points.collect(),
        }
    }
}

fn draw(panel: &Panel, history: &History, area: &Area) -> Drawn {
    let series: Vec<_> = panel
        .series
        .iter()
        .filter(|(key, _, _)| history.has(key))
        .map(|(key, words, colour)| (history.points(key, panel.scale), *words, *colour))
        .collect();
    let legend_wanted = panel.series.len() > 1;
    let values = series.iter().flat_map(|s| &s.0).map(|p| p.1);
    let axis = Axis::new(values, panel.scale, if legend_wanted { 0.3 } else { 0.0 });
    let (low, high, labels) = (axis.low, axis.high, axis.labels());
    let mut chart = ChartBuilder::on(area)
        .margin(12 * FINE)
        .margin_right(24 * FINE)
        .caption(panel.title, title_font())
        .x_label_area_size(36 * FINE)
        .y_label_area_size(66 * FINE)
        .build_cartesian_2d(0.0..history.last.max(1.0), axis)?;
    mesh(&mut chart, &labels)?;
    if panel.scale == Scale::AroundZero {
        chart.draw_series([PathElement::new(
            [(0.0, 0.0), (history.last.max(1.0), 0.0)],
            INK.stroke_width(FINE),
        )])?;
    }
    for (points, words, colour) in series {
        let points: Points = points.into_iter().map(|(x, y)| (x, y.clamp(low, high))).collect();
        curve(&mut chart, points, (words, colour), panel.scale != Scale::FromZero)?;
    }
    rollbacks(&mut chart, &history.rollbacks, (low, high))?;
    if legend_wanted {
        legend(&mut chart)?;
    }
    Ok(())
}

fn mesh(chart: &mut Chart, y_label: &dyn Fn(&f64) -> String) -> Drawn {
    chart
        .configure_mesh()
        .x_desc("step")
        .x_labels(8)
        .y_labels(6)
        .max_light_lines(0)
        .bold_line_style(FAINT.stroke_width(FINE))
        .axis_style(INK.mix(0.5).stroke_width(FINE))
        .label_style(font(13))
        .axis_desc_style(font(13))
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&y_label)
        .draw()?;
    Ok(())
}

/// A long, noisy curve is drawn faintly, with its running mean over it.
fn curve(chart: &mut Chart, points: Points, (words, colour): (&str, RGBColor), noisy: bool) -> Drawn {
    let window = points.len() / 50;
    let smooth = if noisy && window >= 3 {
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            colour.mix(0.3).stroke_width(FINE),
        ))?;
        running_mean(&points, window)
    } else {
        points
    };
    if let [only] = smooth[..] {
        chart.draw_series([Circle::new(only, 3 * FINE, colour.filled())])?;
    }
    chart
        .draw_series(LineSeries::new(smooth, colour.stroke_width(2 * FINE)))?
        .label(words)
        .legend(move |(x, y)| swatch(x, y, colour));
    Ok(())
}

fn rollbacks(chart: &mut Chart, steps: &[f64], (low, high): (f64, f64)) -> Drawn {
    if steps.is_empty() {
        return Ok(());
    }
    let line = |step: &f64| PathElement::new([(*step, low), (*step, high)], ALARM.stroke_width(FINE + 1));
    chart
        .draw_series(steps.iter().map(line))?
        .label("rollback")
        .legend(|(x, y)| swatch(x, y, ALARM));
    Ok(())
}

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(8 * FINE)
        .legend_area_size(30 * FINE)
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT)
        .label_font(font(13))
        .draw()?;
    Ok(())
}

fn swatch(x: i32, y: i32, colour: RGBColor) -> PathElement<(i32, i32)> {
    let fine = FINE as i32;
    PathElement::new([(x + 4 * fine, y), (x + 26 * fine, y)], colour.stroke_width(2 * FINE))
}

fn running_mean(points: &[(f64, f64)], window: usize) -> Points {
    let half = window / 2;
    let mean = |i: usize| {
        let around = &points[i.saturating_sub(half)..(i + half + 1).min(points.len())];
        around.iter().map(|p| p.1).sum::<f64>() / around.len() as f64
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}
