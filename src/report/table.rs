//! Tables of text.

use std::borrow::Cow;

use crate::error::shown;

/// A table with a header, a rule below it, and columns aligned: the first to the left, the rest to the right.
///
/// A cell may come from outside: what would steer a terminal or break a line is written out.
///
/// # Panics
/// Where a row has more cells than the header.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<Cow<str>> = header.iter().map(|cell| shown(cell)).collect();
    let rows: Vec<Vec<Cow<str>>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| shown(cell)).collect())
        .collect();
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        assert!(row.len() <= widths.len(), "a row has more cells than the header");
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[Cow<str>]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, width))| match i {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let rule: Vec<Cow<str>> = widths.iter().map(|w| "-".repeat(*w).into()).collect();
    let mut out = line(&header) + &line(&rule);
    for row in &rows {
        out += &line(row);
    }
    out
}
