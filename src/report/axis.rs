//! The upright axis of a panel: its interval, its round labels.

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
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis for `values`, with a share of `headroom` added at the top.
    pub fn new(values: impl Iterator<Item = f64>, scale: Scale, headroom: f64) -> Self {
        let (low, high) = range(values, scale);
        Self {
            low,
            high: high + headroom * (high - low),
            ticks: ticks(low, high, scale),
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
        self.ticks.clone()
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

/// Where an axis is labelled: round numbers, about five of them.
fn ticks(low: f64, high: f64, scale: Scale) -> Vec<f64> {
    let round = |low: f64, high: f64| {
        let rough = (high - low) / 5.0;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * unit)
            .into_iter()
            .find(|s| *s >= rough)
            .unwrap_or(rough);
        let first = (low / step).ceil() as i64;
        (first..=(high / step).floor() as i64)
            .map(|i| i as f64 * step)
            .collect::<Vec<_>>()
    };
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
