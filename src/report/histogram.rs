//! Histograms of several sets of scores over one another.

use std::path::Path;

use plotters::prelude::*;

use super::axis::{Axis, number, roomy};
use super::plot::{self, Chart, Drawn, Entry, FINE, Words, colour};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (1000, 480);
/// The share of a set at each end that need not be in sight.
const RARE: f64 = 0.02;
/// How far beyond these shares the axis still goes, in widths of what lies between them. Of normal
/// scores nothing is cut.
const SLACK: f64 = 1.0;
/// A set of fewer scores is shown whole.
const FEW: usize = 8;
/// Data narrower than this share of the axis ask for a scale that grows.
const NARROW: f64 = 0.04;

/// Draws the shares of each set (a name and its scores) over common bins as the PNG `path`; the first set, the data, is
/// filled.
///
/// The axis spans all but the rarest scores of each set, which may lie far out; the legend says of
/// each set how many lie beyond. Where the data would be a sliver of a linear axis, the scale is
/// the inverse hyperbolic sine about their median: linear near it, logarithmic far from it.
///
/// # Errors
/// Where there is no set, one is empty or holds a score that is not finite, or the picture cannot be written.
pub fn histogram(series: &[(String, Vec<f64>)], title: &str, label: &str, path: &Path) -> Result<()> {
    if series.is_empty() {
        let what = "expected at least one set of scores to draw, found none";
        return Err(Error::file(path, what, "give the scores of the data"));
    }
    for (name, scores) in series {
        plot::finite(name, scores.iter())?;
    }
    let sets: Vec<Vec<f64>> = series.iter().map(|s| sorted(&s.1)).collect();
    let view = View::of(&sets);
    let shares: Vec<Vec<f64>> = sets.iter().map(|s| view.shares(s)).collect();
    let top = top(&shares);
    let mut entries = Vec::new();
    for (i, (name, _)) in series.iter().enumerate() {
        entries.extend(legend((i, name), &shares[i], top, view.beyond(&sets[i])));
    }
    let label = label.to_string() + view.note();
    let words = Words {
        title,
        x: &label,
        y: "share of the set in a bin",
    };
    plot::write((SIZE.0, plot::height(SIZE.1, entries.len())), path, |area| {
        let (left, right) = plot::beside(area, &entries)?;
        let mut chart = plot::chart(&left, &words, (view.axis(), Axis::between(0.0, top, 8)))?;
        for (i, shares) in shares.iter().enumerate() {
            outline(&mut chart, &view, shares, (colour(i), i == 0), top)?;
        }
        plot::legend(&right, &entries)
    })
}

/// The name of a set, its peak where the axis cuts that, and how many of its scores lie beneath and
/// above the axis.
fn legend((series, name): (usize, &str), shares: &[f64], top: f64, [beneath, above]: [usize; 2]) -> Vec<Entry> {
    let peak = peak(shares);
    let beyond = match (beneath, above) {
        (0, 0) => None,
        (beneath, 0) => Some(format!("beyond: {beneath} left")),
        (0, above) => Some(format!("beyond: {above} right")),
        (beneath, above) => Some(format!("beyond: {beneath} left, {above} right")),
    };
    let notes = [beyond, (peak > top).then(|| format!("peak {}", number(peak)))];
    let note = |words| Entry { words, series: None };
    let name = Entry {
        words: name.to_owned(),
        series: Some(series),
    };
    std::iter::once(name)
        .chain(notes.into_iter().flatten().map(note))
        .collect()
}

fn sorted(scores: &[f64]) -> Vec<f64> {
    let mut scores = scores.to_vec();
    scores.sort_by(f64::total_cmp);
    scores
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}

fn peak(shares: &[f64]) -> f64 {
    shares.iter().copied().fold(0.0, f64::max)
}

/// The top of the upright axis; a peak far above the usual ones is cut, for it would flatten the others.
fn top(shares: &[Vec<f64>]) -> f64 {
    let peaks = sorted(&shares.iter().map(|s| peak(s)).collect::<Vec<_>>());
    let (usual, highest) = (peaks[(peaks.len() - 1) / 2], peaks[peaks.len() - 1]);
    if highest > 5.0 * usual {
        2.5 * usual
    } else {
        1.05 * highest
    }
}

/// How scores become places on the axis.
enum Scale {
    Linear,
    /// The inverse hyperbolic sine about a centre, linear over a width.
    Growing {
        centre: f64,
        width: f64,
    },
}

impl Scale {
    fn place(&self, score: f64) -> f64 {
        match self {
            Scale::Linear => score,
            Scale::Growing { centre, width } => ((score - centre) / width).asinh(),
        }
    }

    fn back(&self, place: f64) -> f64 {
        match self {
            Scale::Linear => place,
            Scale::Growing { centre, width } => centre + width * place.sinh(),
        }
    }
}

/// The axis and its bins.
struct View {
    scale: Scale,
    /// In places, as are the bins.
    low: f64,
    high: f64,
    bins: usize,
}

impl View {
    fn of(sets: &[Vec<f64>]) -> Self {
        let ends: Vec<[f64; 2]> = sets.iter().map(|s| ends(s)).collect();
        let low = ends.iter().map(|e| e[0]).fold(f64::INFINITY, f64::min);
        let high = ends.iter().map(|e| e[1]).fold(f64::NEG_INFINITY, f64::max);
        let mut widths = ends.iter().map(|e| e[1] - e[0]).filter(|w| *w > 0.0);
        // Of the data, or of the first set that has one.
        let width = widths.next().unwrap_or(high - low);
        let scale = match width < NARROW * (high - low) {
            true => Scale::Growing {
                centre: quantile(&sets[0], 0.5),
                width: width / 2.0,
            },
            false => Scale::Linear,
        };
        let (low, high) = (scale.place(low), scale.place(high));
        let (low, high) = roomy(low, high);
        let fewest = sets.iter().map(Vec::len).min().unwrap_or(0) as f64;
        // An odd number, which puts a score that is alone into the middle of a bin.
        let bins = match scale {
            Scale::Linear => (fewest.sqrt() as usize).clamp(40, 80) | 1,
            Scale::Growing { .. } => 121,
        };
        Self { scale, low, high, bins }
    }

    fn axis(&self) -> Axis {
        match self.scale {
            Scale::Linear => Axis::between(self.low, self.high, 8),
            Scale::Growing { .. } => Axis::scaled(self.low, self.high, self.ticks(), |x| self.scale.back(x)),
        }
    }

    /// Round scores at about even places.
    fn ticks(&self) -> Vec<f64> {
        const COUNT: i32 = 8;
        let step = (self.high - self.low) / f64::from(COUNT);
        let mut ticks: Vec<f64> = (0..COUNT)
            .map(|i| {
                let place = self.low + step * (f64::from(i) + 0.5);
                let apart = self.scale.back(place + step / 2.0) - self.scale.back(place - step / 2.0);
                // A power of ten at most half as far as the next.
                let unit = 10f64.powf((apart / 2.0).log10().floor());
                self.scale.place((self.scale.back(place) / unit).round() * unit)
            })
            .collect();
        ticks.dedup();
        ticks
    }

    /// Where bin `i` begins.
    fn edge(&self, i: usize) -> f64 {
        self.low + (self.high - self.low) * i as f64 / self.bins as f64
    }

    /// The share of the scores in each bin; what lies beyond is in none.
    fn shares(&self, scores: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; self.bins];
        for score in scores {
            let at = (self.scale.place(*score) - self.low) / (self.high - self.low) * self.bins as f64;
            if at >= 0.0 && at < self.bins as f64 {
                shares[at as usize] += 1.0 / scores.len() as f64;
            }
        }
        shares
    }

    /// How many scores of a set lie beneath the axis, and above it.
    fn beyond(&self, scores: &[f64]) -> [usize; 2] {
        let count = |outside: &dyn Fn(f64) -> bool| scores.iter().filter(|s| outside(self.scale.place(**s))).count();
        [count(&|place| place < self.low), count(&|place| place >= self.high)]
    }

    /// What the reader of the axis must know.
    fn note(&self) -> &'static str {
        match self.scale {
            Scale::Linear => "",
            Scale::Growing { .. } => " (asinh scale)",
        }
    }
}

/// What of a set is to be in sight: all but rare scores that are far from the rest.
fn ends(sorted: &[f64]) -> [f64; 2] {
    let last = sorted.len() - 1;
    // Of a score that is alone far out, the share is rare however few scores there are.
    let rare = match sorted.len() < FEW {
        true => 0,
        false => (RARE * last as f64).ceil() as usize,
    };
    let (few, many) = (sorted[rare], sorted[last - rare]);
    let slack = SLACK * (many - few);
    let beneath = sorted.partition_point(|s| *s < few - slack);
    let within = sorted.partition_point(|s| *s <= many + slack);
    [sorted[beneath], sorted[within - 1]]
}

/// The steps of a set's shares, from the first bin with a score to the last, filled for the data.
fn outline(chart: &mut Chart, view: &View, shares: &[f64], (colour, filled): (RGBColor, bool), top: f64) -> Drawn {
    let held = |share: &f64| *share > 0.0;
    let (Some(first), Some(last)) = (shares.iter().position(held), shares.iter().rposition(held)) else {
        return Ok(());
    };
    let mut steps = vec![(view.edge(first), 0.0)];
    for (i, share) in (first..).zip(&shares[first..=last]) {
        let height = share.min(top);
        steps.extend([(view.edge(i), height), (view.edge(i + 1), height)]);
    }
    steps.push((view.edge(last + 1), 0.0));
    if filled {
        chart.draw_series([Polygon::new(steps.clone(), colour.mix(0.25).filled())])?;
    }
    chart.draw_series(LineSeries::new(steps, colour.stroke_width(2 * FINE)))?;
    Ok(())
}
