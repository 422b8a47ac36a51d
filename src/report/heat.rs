//! Densities on the plane as heat maps, with points over them.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tch::{Device, Kind, Tensor};

use super::axis::Axis;
use super::plot::{self, Area, Chart, Drawn, FINE, INK, Words, font};
use crate::error::{Error, Result};

/// Pixels of the longer side of a map.
const MAP: f64 = 320.0;
/// What the axes and their margins add to it, and a title.
const AXES: (u32, u32) = (102, 60);
const TITLE: u32 = 18;
/// Pixels of the legend below.
const LEGEND: u32 = 36;
/// The radius of a dot, in pixels of the finer picture, and its opacity.
const DOT: i32 = 3;
const OPACITY: f64 = 0.6;
/// More points of a set would hide the map.
const MOST_DOTS: i64 = 2000;
/// Pixels of the ramp in the legend.
const RAMP: (i32, i32) = (90, 12);

/// Blues of evenly falling lightness, from no density to the highest.
const COLOURS: [[f64; 3]; 6] = [
    [255.0, 255.0, 255.0],
    [222.0, 235.0, 247.0],
    [184.0, 212.0, 234.0],
    [137.0, 185.0, 220.0],
    [88.0, 155.0, 203.0],
    [43.0, 123.0, 183.0],
];

/// Points over a map.
#[derive(Debug)]
pub struct Dots<'a> {
    /// What they are, for the legend.
    pub name: &'a str,
    /// `[n,2]`: x and y. Of more than 2000 the first are drawn; those outside the area are not.
    pub points: &'a Tensor,
    /// Their colour, red, green and blue.
    pub colour: [u8; 3],
}

/// For data: a dark grey that shows on every colour of the map.
pub const DATA_COLOUR: [u8; 3] = [40, 40, 40];
/// For samples of a model: an orange that does so too.
pub const SAMPLE_COLOUR: [u8; 3] = [230, 85, 13];

/// A density with points over it.
#[derive(Debug)]
pub struct HeatPanel<'a> {
    /// The words above it.
    pub title: &'a str,
    /// The logarithm of the density at the middles of even cells, up to a constant,
    /// `[rows,columns]`, the lowest y first. -inf is no density.
    pub log_density: &'a Tensor,
    /// The area of the cells: x from and to, y from and to.
    pub area: [f64; 4],
    /// The points, those drawn last on top.
    pub dots: Vec<Dots<'a>>,
}

/// Draws a panel as the PNG `path`; see [`heat_maps`].
///
/// # Errors
/// As there.
pub fn heat_map(panel: &HeatPanel, path: &Path) -> Result<()> {
    heat_maps(std::slice::from_ref(panel), 1, path)
}

/// Draws panels, `columns` in a row, as the PNG `path`, with one legend below.
///
/// Colours show the density as a share of the highest of its own panel.
///
/// # Errors
/// Where there is no panel, a density is empty, NaN, +inf or nowhere above 0, an area is empty,
/// points are not `[n,2]`, or the picture cannot be written.
pub fn heat_maps(panels: &[HeatPanel], columns: usize, path: &Path) -> Result<()> {
    if panels.is_empty() {
        let what = "expected densities to draw, found none";
        return Err(Error::file(path, what, "give at least one panel"));
    }
    let maps = panels.iter().map(|p| Map::new(p, path)).collect::<Result<Vec<_>>>()?;
    let columns = columns.clamp(1, maps.len());
    let rows = maps.len().div_ceil(columns);
    let cell = maps
        .iter()
        .map(Map::size)
        .fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    let size = (cell.0 * columns as u32, cell.1 * rows as u32 + LEGEND);
    plot::write(size, path, |area| {
        let (body, foot) = area.split_vertically(((size.1 - LEGEND) * FINE) as i32);
        for (map, area) in maps.iter().zip(body.split_evenly((rows, columns))) {
            let (width, height) = map.size();
            let (right, below) = ((cell.0 - width) * FINE, (cell.1 - height) * FINE);
            map.draw(&area.margin(0, below, 0, right))?;
        }
        legend(&foot, panels)
    })
}

/// A panel whose numbers are on the host.
struct Map<'a> {
    title: &'a str,
    area: [f64; 4],
    /// Shares of the highest density, row by row from below.
    shares: Vec<Vec<f64>>,
    dots: Vec<(Vec<(f64, f64)>, RGBColor)>,
}

impl<'a> Map<'a> {
    fn new(panel: &HeatPanel<'a>, path: &Path) -> Result<Self> {
        let [x0, x1, y0, y1] = panel.area;
        if !(x0 < x1 && y0 < y1 && panel.area.iter().all(|v| v.is_finite())) {
            let what = format!(
                "expected an area from a lower to a higher x and y, found {:?}",
                panel.area
            );
            return Err(Error::file(path, what, "give the area as x0, x1, y0, y1"));
        }
        Ok(Self {
            title: panel.title,
            area: panel.area,
            shares: shares(panel.log_density, path)?,
            dots: panel.dots.iter().map(|d| dots(d, path)).collect::<Result<_>>()?,
        })
    }

    /// Pixels of the panel: as wide and as high as the area, the longer side fixed.
    fn size(&self) -> (u32, u32) {
        let [x0, x1, y0, y1] = self.area;
        let (width, height) = (x1 - x0, y1 - y0);
        let unit = MAP / width.max(height);
        let title = if self.title.is_empty() { 0 } else { TITLE };
        let pixels = |length: f64| (length * unit).round().max(1.0) as u32;
        (pixels(width) + AXES.0, pixels(height) + AXES.1 + title)
    }

    fn draw(&self, area: &Area) -> Drawn {
        let [x0, x1, y0, y1] = self.area;
        let words = Words {
            title: self.title,
            x: "x",
            y: "y",
        };
        let axes = (Axis::between(x0, x1, 6), Axis::between(y0, y1, 6));
        let mut chart = plot::chart(area, &words, axes)?;
        self.cells(&mut chart)?;
        for (points, colour) in &self.dots {
            let inside = |p: &&(f64, f64)| (x0..=x1).contains(&p.0) && (y0..=y1).contains(&p.1);
            let style = colour.mix(OPACITY).filled();
            let circles = points.iter().filter(inside).map(|p| Circle::new(*p, DOT, style));
            chart.draw_series(circles)?;
        }
        let frame = Rectangle::new([(x0, y0), (x1, y1)], INK.mix(0.5).stroke_width(FINE));
        chart.draw_series([frame])?;
        Ok(())
    }

    fn cells(&self, chart: &mut Chart) -> Drawn {
        let [x0, x1, y0, y1] = self.area;
        let high = (y1 - y0) / self.shares.len() as f64;
        for (i, row) in self.shares.iter().enumerate() {
            let wide = (x1 - x0) / row.len() as f64;
            let (below, above) = (y0 + i as f64 * high, y0 + (i + 1) as f64 * high);
            let cells = row.iter().enumerate().map(|(j, share)| {
                let (left, right) = (x0 + j as f64 * wide, x0 + (j + 1) as f64 * wide);
                Rectangle::new([(left, below), (right, above)], colour(*share).filled())
            });
            chart.draw_series(cells)?;
        }
        Ok(())
    }
}

/// The density as shares of its highest, row by row.
fn shares(log_density: &Tensor, path: &Path) -> Result<Vec<Vec<f64>>> {
    let log = log_density.detach().to_device(Device::Cpu).to_kind(Kind::Double);
    if log.dim() != 2 || log.numel() == 0 {
        let what = format!("expected a density [rows,columns], found {:?}", log.size());
        return Err(Error::file(path, what, "evaluate it on a grid of the plane"));
    }
    let highest = log.max().double_value(&[]);
    if !highest.is_finite() {
        let what = format!("expected a density that is a number and above 0 somewhere, found log p = {highest}");
        let remedy = "draw a density of a model that has not diverged, over an area where it has mass";
        return Err(Error::file(path, what, remedy));
    }
    let shares = (log - highest).exp();
    let rows = (0..shares.size()[0]).map(|i| Vec::try_from(shares.get(i)));
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The points that are drawn, with their colour.
fn dots(dots: &Dots, path: &Path) -> Result<(Vec<(f64, f64)>, RGBColor)> {
    let size = dots.points.size();
    let [n, 2] = size[..] else {
        let what = format!("expected points `{}` of shape [n,2], found {size:?}", dots.name);
        return Err(Error::file(path, what, "give points of the plane"));
    };
    let few = dots.points.detach().narrow(0, 0, n.min(MOST_DOTS));
    let few = few.to_device(Device::Cpu).to_kind(Kind::Double).contiguous();
    let flat: Vec<f64> = Vec::try_from(few.view(-1))?;
    let [red, green, blue] = dots.colour;
    let points = flat.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    Ok((points, RGBColor(red, green, blue)))
}

/// The colour of a share of the highest density.
fn colour(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let below = (place as usize).min(COLOURS.len() - 2);
    let (from, to, part) = (COLOURS[below], COLOURS[below + 1], place - below as f64);
    let mixed = |i: usize| (from[i] + part * (to[i] - from[i])).round() as u8;
    RGBColor(mixed(0), mixed(1), mixed(2))
}

/// The ramp of colours, and a dot with its name for each kind of points.
fn legend(area: &Area, panels: &[HeatPanel]) -> Drawn {
    let mut entries: Vec<(&str, [u8; 3])> = Vec::new();
    for dots in panels.iter().flat_map(|p| &p.dots) {
        if !entries.contains(&(dots.name, dots.colour)) {
            entries.push((dots.name, dots.colour));
        }
    }
    let (fine, y) = (FINE as i32, (LEGEND / 2 - 6) as i32);
    let style = font(13).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = 16;
    let word = |text: &str, x: i32| -> Drawn<i32> {
        area.draw_text(text, &style, (x * fine, y * fine))?;
        Ok(plot::width(text, &style)? as i32)
    };
    x += word("density 0", x)? + 8;
    ramp(area, (x * fine, y * fine))?;
    x += RAMP.0 + 8;
    x += word("highest", x)? + 28;
    for (name, [red, green, blue]) in entries {
        let dot = Circle::new((x * fine, y * fine), 4 * fine, RGBColor(red, green, blue).filled());
        area.draw(&dot)?;
        x += 10 + word(name, x + 10)? + 24;
    }
    Ok(())
}

/// The ramp from left to right, its middle at this height.
fn ramp(area: &Area, (left, middle): (i32, i32)) -> Drawn {
    let (width, half) = (RAMP.0 * FINE as i32, RAMP.1 * FINE as i32 / 2);
    for i in 0..width {
        let style = colour(f64::from(i) / f64::from(width - 1)).filled();
        let line = [(left + i, middle - half), (left + i + 1, middle + half)];
        area.draw(&Rectangle::new(line, style))?;
    }
    let frame = [(left, middle - half), (left + width, middle + half)];
    area.draw(&Rectangle::new(frame, INK.mix(0.5).stroke_width(1)))?;
    Ok(())
}
