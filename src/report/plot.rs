//! What all charts share: sizes, fonts, colours, the frame of axes, the legend beside them, the way into a file.

use std::path::Path;
use std::sync::Once;

use image::{RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{register_font, text_anchor};

use super::axis::Axis;
use super::canvas::Canvas;
use crate::error::{Error, Result};
use crate::files;

/// Drawn so many times larger and then averaged, which smooths every edge.
pub(super) const FINE: u32 = 2;
const FONT: &str = "DejaVu Sans";
pub(super) const INK: RGBColor = RGBColor(60, 60, 60);
pub(super) const FAINT: RGBColor = RGBColor(232, 232, 232);
pub(super) const BLUE: RGBColor = RGBColor(31, 119, 180);
pub(super) const ORANGE: RGBColor = RGBColor(224, 110, 20);
pub(super) const GREEN: RGBColor = RGBColor(34, 139, 84);
pub(super) const PURPLE: RGBColor = RGBColor(120, 80, 170);
pub(super) const ALARM: RGBColor = RGBColor(200, 30, 45);
/// Colours of series, the first ones the farthest apart.
const SERIES: [RGBColor; 10] = [
    BLUE,
    ORANGE,
    GREEN,
    ALARM,
    PURPLE,
    RGBColor(140, 86, 60),
    RGBColor(227, 119, 194),
    RGBColor(110, 110, 110),
    RGBColor(188, 170, 20),
    RGBColor(23, 190, 207),
];
/// The widest legend, in pixels.
const LEGEND: u32 = 240;
/// Where it begins, and how far its lines are apart.
const LEGEND_TOP: u32 = 50;
const LINE: u32 = 22;

pub(super) type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The words on a chart; the title may be empty.
pub(super) struct Words<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
}

/// Draws on a white area of so many pixels and writes it as the PNG `path`.
pub(super) fn write(size: (u32, u32), path: &Path, draw: impl FnOnce(&Area) -> Drawn) -> Result<()> {
    let canvas = picture(size, draw).map_err(|e| {
        let what = format!("the picture cannot be drawn: {e}");
        Error::file(path, what, "report this as a fault")
    })?;
    files::write_atomic(path, &canvas.png(path)?)
}

/// What is drawn on a white area of so many pixels.
pub(super) fn picture((width, height): (u32, u32), draw: impl FnOnce(&Area) -> Drawn) -> Drawn<Canvas> {
    let mut fine = vec![255; (width * height * FINE * FINE * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut fine, (width * FINE, height * FINE)).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    let fine = RgbImage::from_raw(width * FINE, height * FINE, fine).ok_or("the buffer has another size")?;
    Ok(Canvas {
        width,
        height,
        channels: 3,
        bytes: imageops::thumbnail(&fine, width, height).into_raw(),
    })
}

fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, bytes) in [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ] {
            // A font that is refused shows as an error where text is drawn.
            let _ = register_font(FONT, style, bytes);
        }
    });
}

pub(super) fn font(size: u32) -> TextStyle<'static> {
    register_fonts();
    (FONT, size * FINE).into_font().color(&INK)
}

pub(super) fn title_font() -> TextStyle<'static> {
    register_fonts();
    (FONT, 16 * FINE, FontStyle::Bold).into_font().color(&INK)
}

/// The colour of series `i`.
pub(super) fn colour(i: usize) -> RGBColor {
    SERIES[i % SERIES.len()]
}

/// Axes with their words and grid.
pub(super) fn chart<'a, 'b>(area: &'a Area<'b>, words: &Words, (x, y): (Axis, Axis)) -> Drawn<Chart<'a, 'b>> {
    let (x_label, y_label) = (x.labels(), y.labels());
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(12 * FINE)
        .margin_right(24 * FINE)
        .x_label_area_size(36 * FINE)
        .y_label_area_size(66 * FINE);
    if !words.title.is_empty() {
        builder.caption(words.title, title_font());
    }
    let mut chart = builder.build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(words.x)
        .y_desc(words.y)
        .max_light_lines(0)
        .bold_line_style(FAINT.stroke_width(FINE))
        .axis_style(INK.mix(0.5).stroke_width(FINE))
        .label_style(font(13))
        .axis_desc_style(font(13))
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label)
        .draw()?;
    Ok(chart)
}

/// The height of a chart that is `least` high without its legend of so many lines.
pub(super) fn height(least: u32, lines: usize) -> u32 {
    least.max(LEGEND_TOP + LINE * lines as u32)
}

/// A line of a legend: words, and the series whose colour stands before them.
pub(super) struct Entry {
    pub words: String,
    /// None for a note to the line above.
    pub series: Option<usize>,
}

impl Entry {
    /// A line a series, in their order.
    pub fn each(names: &[String]) -> Vec<Self> {
        let entry = |(i, name): (usize, &String)| Self {
            words: name.clone(),
            series: Some(i),
        };
        names.iter().enumerate().map(entry).collect()
    }
}

/// Cuts the area in two, the right part just wide enough for a legend of these lines.
pub(super) fn beside<'a>(area: &Area<'a>, entries: &[Entry]) -> Drawn<(Area<'a>, Area<'a>)> {
    let mut widest = 0;
    for entry in entries {
        widest = widest.max(width(&entry.words, &font(13))?);
    }
    let legend = (widest + 42).min(LEGEND) * FINE;
    let (width, _) = area.dim_in_pixel();
    Ok(area.split_horizontally(width as i32 - legend as i32))
}

/// The lines with the colours of their series, from the top.
pub(super) fn legend(area: &Area, entries: &[Entry]) -> Drawn {
    let fine = FINE as i32;
    let room = LEGEND - 38;
    let left = font(13).pos(text_anchor::Pos::new(
        text_anchor::HPos::Left,
        text_anchor::VPos::Center,
    ));
    for (i, entry) in entries.iter().enumerate() {
        let y = (LEGEND_TOP + LINE * i as u32) as i32 * fine;
        if let Some(series) = entry.series {
            let line = [(0, y), (22 * fine, y)];
            area.draw(&PathElement::new(line, colour(series).stroke_width(3 * FINE)))?;
        }
        area.draw_text(&fitted(&entry.words, &font(13), room)?, &left, (30 * fine, y))?;
    }
    Ok(())
}

/// How many pixels of the picture the text is wide.
pub(super) fn width(text: &str, style: &TextStyle) -> Drawn<u32> {
    Ok(style.font.box_size(text)?.0.div_ceil(FINE))
}

/// The text, or as much of its beginning as is at most `room` pixels wide.
pub(super) fn fitted(text: &str, style: &TextStyle, room: u32) -> Drawn<String> {
    let mut kept: Vec<char> = text.chars().collect();
    let mut shown = text.to_string();
    while width(&shown, style)? > room && kept.pop().is_some() {
        shown = kept.iter().collect::<String>().trim_end().to_string() + "…";
    }
    Ok(shown)
}

/// Whether there are values and all can be drawn; `place` says whose they are.
pub(super) fn finite<'a>(place: &str, values: impl Iterator<Item = &'a f64>) -> Result<()> {
    let (mut all, mut bad) = (0, 0);
    for value in values {
        all += 1;
        // Of such, the difference of any two is a number.
        bad += usize::from(!(-1e300..1e300).contains(value));
    }
    if all == 0 || bad > 0 {
        let what = format!("expected numbers within +-1e300 to draw, found {bad} others among {all}");
        return Err(Error::input(
            place,
            what,
            "draw what was measured with a model that has not diverged",
        ));
    }
    Ok(())
}
