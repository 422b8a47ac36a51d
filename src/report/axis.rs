//! An axis: its interval, its round labels.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::Ranged;

/// How an axis shows its values.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// As they are.
    Linear,
    /// With a line at 0, which is always in sight.
    AroundZero,
    /// Smooth by itself; 0 is in sight.
    FromZero,
    /// By their logarithm to base 10.
    Log,
}

/// An interval with labelled points, in the units drawn (decades on a logarithmic scale).
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis for `values`, with a share of `headroom` added at the top.
    pub fn new(values: impl Iterator<Item = f64>, scale: Scale, headroom: f64) -> Self {
        let (low, high) = range(values, scale);
        Self {
            low,
            high: high + headroom * (high - low),
            ticks: labelled(ticks(low, high, scale), |y| match scale {
                Scale::Log => 10f64.powf(y),
                _ => y,
            }),
        }
    }

    /// An axis over exactly this interval, with at most about so many labels.
    pub fn between(low: f64, high: f64, most: u32) -> Self {
        Self {
            low,
            high,
            ticks: labelled(round(low, high, most), |x| x),
        }
    }

    /// An axis over exactly this interval, labelled at `ticks` with what they stand for.
    pub fn scaled(low: f64, high: f64, ticks: Vec<f64>, value: impl Fn(f64) -> f64) -> Self {
        Self {
            low,
            high,
            ticks: labelled(ticks, value),
        }
    }

    /// What is written at each of the labelled points.
    pub fn labels(&self) -> impl Fn(&f64) -> String + use<> {
        let ticks = self.ticks.clone();
        move |at| {
            let tick = ticks.iter().find(|t| t.0 == *at);
            tick.map(|t| t.1.clone()).unwrap_or_default()
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|t| t.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// The interval of an axis: all values, but for rare ones far out, which would flatten the rest.
fn range(values: impl Iterator<Item = f64>, scale: Scale) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        values
            .get((share * values.len().saturating_sub(1) as f64).round() as usize)
            .copied()
    };
    let (least, most) = (at(0.0).unwrap_or(0.0), at(1.0).unwrap_or(1.0));
    let (few, many) = (at(0.01).unwrap_or(least), at(0.99).unwrap_or(most));
    let slack = 0.5 * (many - few);
    let (mut low, mut high) = (least.max(few - slack), most.min(many + slack));
    if matches!(scale, Scale::AroundZero | Scale::FromZero) {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    let margin = match high - low {
        0.0 => (0.1 * high.abs()).max(1e-9),
        span => 0.06 * span,
    };
    (low - margin, high + margin)
}

/// The interval with a margin; one that is a point, or as good as one, becomes an interval around it.
pub(super) fn roomy(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let margin = match high - low {
        span if span <= 1e-9 * size => (0.1 * size).max(0.5),
        span => 0.04 * span,
    };
    (low - margin, high + margin)
}

/// Round numbers in an interval, at most about so many.
fn round(low: f64, high: f64, most: u32) -> Vec<f64> {
    let rough = (high - low) / f64::from(most);
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * unit)
        .into_iter()
        .find(|s| *s >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..=(high / step).floor() as i64)
        .map(|i| i as f64 * step)
        .collect()
}

/// Each point with the number that it stands for, as many digits of it as tell it from its neighbours.
fn labelled(ticks: Vec<f64>, value: impl Fn(f64) -> f64) -> Vec<(f64, String)> {
    let values: Vec<f64> = ticks.iter().map(|t| value(*t)).collect();
    let short: Vec<String> = values.iter().map(|v| number(*v)).collect();
    let apart = values.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    let same = short.windows(2).any(|w| w[0] == w[1]);
    let decimals = (-apart.log10().floor()).clamp(0.0, 17.0) as usize;
    let long = values.iter().map(|v| format!("{v:.decimals$}"));
    let labels = if same { long.collect() } else { short };
    ticks.into_iter().zip(labels).collect()
}

/// Where an axis is labelled: round numbers, about five of them.
fn ticks(low: f64, high: f64, scale: Scale) -> Vec<f64> {
    let round = |low, high| round(low, high, 5);
    if scale != Scale::Log {
        return round(low, high);
    }
    let decades = (high - low) as i64;
    let mantissas: &[f64] = match decades {
        0 => {
            return round(10f64.powf(low), 10f64.powf(high))
                .into_iter()
                .map(f64::log10)
                .collect();
        }
        1 => &[1.0, 2.0, 5.0],
        2 => &[1.0, 3.0],
        _ => &[1.0],
    };
    (low.floor() as i64..=high.ceil() as i64)
        .step_by((decades / 5).max(1) as usize)
        .flat_map(|k| mantissas.iter().map(move |m| k as f64 + m.log10()))
        .filter(|y| (low..=high).contains(y))
        .collect()
}

/// Three significant digits at most, without trailing zeros; very large and small ones as 2e-4.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}
