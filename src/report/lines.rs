//! Lines: a quantity over another, such as accuracy over the radius of an attack.

use std::path::Path;

use plotters::prelude::*;

use super::axis::{Axis, roomy};
use super::plot::{self, Drawn, Entry, FINE, Words, colour};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (900, 480);

/// Draws each series, a name and its points (x, y) in any order, as a line through its points, as the PNG `path`.
///
/// # Errors
/// Where there is no series, one has no point, a number is not finite, or the picture cannot be written.
pub fn lines(series: &[(String, Vec<(f64, f64)>)], x_label: &str, y_label: &str, path: &Path) -> Result<()> {
    if series.is_empty() {
        let what = "expected at least one line to draw, found none";
        return Err(Error::file(path, what, "give what was measured"));
    }
    for (name, points) in series {
        plot::finite(name, points.iter().flat_map(|(x, y)| [x, y]))?;
    }
    let names: Vec<String> = series.iter().map(|s| s.0.clone()).collect();
    let entries = Entry::each(&names);
    let all = || series.iter().flat_map(|s| &s.1);
    let (x, y) = (axis(all().map(|p| p.0)), axis(all().map(|p| p.1)));
    let words = Words {
        title: "",
        x: x_label,
        y: y_label,
    };
    plot::write((SIZE.0, plot::height(SIZE.1, entries.len())), path, |area| {
        let (left, right) = plot::beside(area, &entries)?;
        let mut chart = plot::chart(&left, &words, (x, y))?;
        for (i, (_, points)) in series.iter().enumerate() {
            line(&mut chart, points, colour(i))?;
        }
        plot::legend(&right, &entries)
    })
}

fn line(chart: &mut plot::Chart, points: &[(f64, f64)], colour: RGBColor) -> Drawn {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let dot = |p: &(f64, f64)| Circle::new(*p, 3 * FINE, colour.filled());
    chart.draw_series(points.iter().map(dot))?;
    chart.draw_series(LineSeries::new(points, colour.stroke_width(2 * FINE)))?;
    Ok(())
}

/// An axis over all values, with a margin.
fn axis(values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    let (low, high) = roomy(low, high);
    Axis::between(low, high, 8)
}
