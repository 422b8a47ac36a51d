//! A confusion matrix as a heat map.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::plot::{self, Area, Drawn, FINE, INK, font, title_font};
use crate::error::{Error, Result};

/// Pixels of the squares together, about.
const BOARD: u32 = 700;
/// The widest name, in pixels.
const NAME: u32 = 150;
/// Squares of fewer pixels hold no number.
const READABLE: u32 = 28;
/// Squares of fewer pixels have no name.
const NAMED: u32 = 7;
/// Pixels above the squares, and between things.
const TOP: u32 = 42;
const GAP: u32 = 10;
/// The colour of a whole row.
const FULL: RGBColor = RGBColor(8, 48, 107);

/// Draws counts (a row a true class, a column a predicted one) as squares with their numbers, as the PNG `path`.
///
/// The darkness of a square is the square root of its share of its row, so that rare mistakes show. Of many classes the
/// squares hold no numbers.
///
/// # Errors
/// Where the matrix is empty or not square, has not a name a class, or the picture cannot be written.
pub fn confusion(matrix: &[Vec<u64>], classes: &[String], title: &str, path: &Path) -> Result<()> {
    let k = matrix.len();
    if k == 0 || k != classes.len() || matrix.iter().any(|row| row.len() != k) {
        let what = format!(
            "expected a square matrix with a name a class, found {k} rows and {} names",
            classes.len()
        );
        return Err(Error::file(
            path,
            what,
            "draw the confusion of a classification with the names of its classes",
        ));
    }
    let sheet = Sheet::new(classes, title).map_err(|e| {
        let what = format!("the names of the classes cannot be drawn: {e}");
        Error::file(path, what, "report this as a fault")
    })?;
    plot::write(sheet.size, path, |area| {
        sheet.squares(area, matrix)?;
        sheet.names(area)?;
        sheet.words(area, title)
    })
}

/// Where things are, in pixels of the picture.
struct Sheet {
    names: Vec<String>,
    /// Whether the names below stand upright.
    upright: bool,
    /// The side of a square.
    square: u32,
    /// And of all squares together.
    board: u32,
    left: u32,
    size: (u32, u32),
}

impl Sheet {
    fn new(classes: &[String], title: &str) -> Drawn<Self> {
        let k = classes.len() as u32;
        let square = (BOARD / k).clamp(1, 60);
        let (board, style) = (square * k, name_font(square));
        let mut names = Vec::new();
        let mut widest = 0;
        for name in classes.iter().filter(|_| square >= NAMED) {
            let name = plot::fitted(name, &style, NAME)?;
            widest = widest.max(plot::width(&name, &style)?);
            names.push(name);
        }
        let upright = widest + 6 > square;
        let left = 32 + widest + GAP;
        let below = GAP + if upright { widest } else { 16 } + 34;
        let width = (left + board + 24).max(plot::width(title, &title_font())? + 24);
        Ok(Self {
            names,
            upright,
            square,
            board,
            // What the title is wider goes to both sides.
            left: left + (width - left - board - 24) / 2,
            size: (width, TOP + board + below),
        })
    }

    fn squares(&self, area: &Area, matrix: &[Vec<u64>]) -> Drawn {
        let most = matrix.iter().flatten().max().copied().unwrap_or(0);
        let digits = most.to_string().len().max(2) as u32;
        // A digit is about 0.64 as wide as the font is high.
        let size = (self.square * 3 / 2 / (digits + 1)).min(15);
        for (row, counts) in matrix.iter().enumerate() {
            let total = counts.iter().sum::<u64>().max(1) as f64;
            for (column, count) in counts.iter().enumerate() {
                let dark = (*count as f64 / total).sqrt();
                let at = (self.x(column), self.y(row));
                self.square(area, at, dark)?;
                if self.square >= READABLE && *count > 0 {
                    let ink = if dark > 0.6 { WHITE } else { INK };
                    let middle = (at.0 + self.square / 2, at.1 + self.square / 2);
                    let style = font(size).color(&ink);
                    text(area, &count.to_string(), middle, style, (HPos::Center, VPos::Center))?;
                }
            }
        }
        Ok(())
    }

    fn x(&self, column: usize) -> u32 {
        self.left + column as u32 * self.square
    }

    fn y(&self, row: usize) -> u32 {
        TOP + row as u32 * self.square
    }

    fn square(&self, area: &Area, (x, y): (u32, u32), dark: f64) -> Drawn {
        let mixed = |full: u8| (247.0 + dark * (f64::from(full) - 247.0)).round() as u8;
        let colour = RGBColor(mixed(FULL.0), mixed(FULL.1), mixed(FULL.2));
        // A line of ground between squares, but for small ones.
        let gap = i32::from(self.square >= READABLE) * FINE as i32;
        let (x, y) = ((x * FINE) as i32, (y * FINE) as i32);
        let side = (self.square * FINE) as i32 - gap - 1;
        area.draw(&Rectangle::new([(x, y), (x + side, y + side)], colour.filled()))?;
        Ok(())
    }

    fn names(&self, area: &Area) -> Drawn {
        let style = || name_font(self.square);
        for (i, name) in self.names.iter().enumerate() {
            let (x, y) = (self.x(i) + self.square / 2, self.y(i) + self.square / 2);
            text(area, name, (self.left - GAP, y), style(), (HPos::Right, VPos::Center))?;
            let below = (x, self.y(self.names.len()) + GAP);
            if self.upright {
                let turned = style().transform(FontTransform::Rotate270);
                text(area, name, below, turned, (HPos::Right, VPos::Center))?;
            } else {
                text(area, name, below, style(), (HPos::Center, VPos::Top))?;
            }
        }
        Ok(())
    }

    fn words(&self, area: &Area, title: &str) -> Drawn {
        let (width, height) = self.size;
        let middle = self.board / 2;
        text(area, title, (width / 2, 10), title_font(), (HPos::Center, VPos::Top))?;
        let below = (self.left + middle, height - 10);
        text(area, "predicted class", below, font(13), (HPos::Center, VPos::Bottom))?;
        let turned = font(13).transform(FontTransform::Rotate270);
        text(
            area,
            "true class",
            (12, TOP + middle),
            turned,
            (HPos::Center, VPos::Top),
        )
    }
}

fn name_font(square: u32) -> TextStyle<'static> {
    font(square.clamp(NAMED, 13))
}

fn text(area: &Area, text: &str, (x, y): (u32, u32), style: TextStyle, (h, v): (HPos, VPos)) -> Drawn {
    let at = ((x * FINE) as i32, (y * FINE) as i32);
    area.draw_text(text, &style.pos(Pos::new(h, v)), at)?;
    Ok(())
}
