//! The reliability diagram of a classifier: how often it is right against how sure it is.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::plot::{self, ALARM, Area, BLUE, Chart, Drawn, FINE, INK, Words, font};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (560, 640);
/// The share of the height that the counts below take.
const COUNTS: f64 = 0.25;

/// Predictions of about the same confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The lower edge of a bin of equal width; the least confidence in a bin of equal mass.
    pub low: f64,
    /// The upper edge, or the greatest confidence.
    pub high: f64,
    /// How many predictions it holds.
    pub count: u64,
    /// Their mean confidence; 0 where there is none.
    pub confidence: f64,
    /// The share of them that is right; 0 where there is none.
    pub accuracy: f64,
}

/// Draws the bins as a reliability diagram (Niculescu-Mizil & Caruana 2005), with their expected calibration error
/// written in it and their shares of the predictions below, as the PNG `path`.
///
/// A bar is the accuracy of a bin; the gap to its mean confidence is hatched red. Empty bins have no bar.
///
/// # Errors
/// Where no bin holds a prediction, a number is not in [0, 1], or the picture cannot be written.
pub fn reliability(bins: &[Bin], ece: f64, title: &str, path: &Path) -> Result<()> {
    let filled: Vec<&Bin> = bins.iter().filter(|b| b.count > 0).collect();
    let numbers = filled.iter().flat_map(|b| [b.low, b.high, b.confidence, b.accuracy]);
    let bad = numbers.chain([ece]).filter(|v| !(0.0..=1.0).contains(v)).count();
    if filled.is_empty() || bad > 0 {
        let what = format!(
            "expected bins of predictions with shares in [0, 1], found {} bins with predictions and {bad} other numbers",
            filled.len()
        );
        return Err(Error::file(path, what, "draw the bins of a classification"));
    }
    plot::write(SIZE, path, |area| {
        let (upper, lower) = area.split_vertically((f64::from(SIZE.1 * FINE) * (1.0 - COUNTS)) as i32);
        accuracies(&upper, &filled, ece, title)?;
        shares(&lower, &filled)
    })
}

fn accuracies(area: &Area, bins: &[&Bin], ece: f64, title: &str) -> Drawn {
    let words = Words {
        title,
        x: "confidence",
        y: "accuracy",
    };
    let axes = (Axis::between(0.0, 1.0, 5), Axis::between(0.0, 1.0, 5));
    let mut chart = plot::chart(area, &words, axes)?;
    for bin in bins {
        let (left, right) = sides(bin);
        bar(&mut chart, (left, 0.0), (right, bin.accuracy), BLUE.mix(0.75))?;
        bar(
            &mut chart,
            (left, bin.accuracy),
            (right, bin.confidence),
            ALARM.mix(0.3),
        )?;
        let level = [(left, bin.confidence), (right, bin.confidence)];
        chart.draw_series([PathElement::new(level, ALARM.stroke_width(2 * FINE))])?;
    }
    let diagonal = (0..50).map(|i| f64::from(i) / 50.0);
    let dash = |from: f64| PathElement::new([(from, from), (from + 0.01, from + 0.01)], INK.stroke_width(FINE + 1));
    chart.draw_series(diagonal.map(dash))?;
    let text = format!("ECE {:.2} %", 100.0 * ece);
    let style = font(15).pos(Pos::new(HPos::Left, VPos::Top));
    chart.draw_series([Text::new(text, (0.03, 0.97), style)])?;
    Ok(())
}

fn shares(area: &Area, bins: &[&Bin]) -> Drawn {
    let total: u64 = bins.iter().map(|b| b.count).sum();
    let share = |b: &Bin| b.count as f64 / total as f64;
    let most = bins.iter().map(|b| share(b)).fold(0.0, f64::max);
    let words = Words {
        title: "",
        x: "confidence",
        y: "share",
    };
    let axes = (Axis::between(0.0, 1.0, 5), Axis::between(0.0, 1.08 * most, 4));
    let mut chart = plot::chart(area, &words, axes)?;
    for bin in bins {
        let (left, right) = sides(bin);
        bar(&mut chart, (left, 0.0), (right, share(bin)), INK.mix(0.5))?;
    }
    Ok(())
}

/// The bar's left and right: those of the bin, widened where all its confidences are nearly equal.
fn sides(bin: &Bin) -> (f64, f64) {
    const LEAST: f64 = 0.004;
    let right = bin.high.max(LEAST);
    (bin.low.min(right - LEAST), right)
}

fn bar(chart: &mut Chart, from: (f64, f64), to: (f64, f64), colour: RGBAColor) -> Drawn {
    chart.draw_series([Rectangle::new([from, to], colour.filled())])?;
    let outline = Rectangle::new([from, to], WHITE.stroke_width(FINE));
    chart.draw_series([outline])?;
    Ok(())
}
