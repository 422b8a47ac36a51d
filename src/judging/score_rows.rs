//! Scores of images as rows: the columns, and a row an image.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::loaded::Scoring;
use super::threshold::Threshold;
use crate::error::{Error, Result};
use crate::eval::Score;
use crate::report::quoted;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// path,index,energy, then what else was asked for, with a header
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// What stands in a row behind path and index.
pub struct Columns {
    /// What is scored; the first is E(x), which every row has.
    pub scores: Vec<Score>,
    /// How it is scored.
    pub scoring: Scoring,
    /// What decides whether an image is in distribution.
    pub threshold: Option<Threshold>,
    /// Which score images are ordered by: the first that was asked for, else the one of the
    /// threshold, else E(x).
    pub first: usize,
    /// The columns behind the energy: a header, and which of the scores.
    shown: Vec<(String, usize)>,
    classes: Vec<String>,
    probabilities: bool,
}

/// What was found of one image.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of [`Columns::scores`].
    pub scores: Vec<f64>,
    /// A number a class, of a classifier.
    pub probabilities: Vec<f64>,
}

impl Columns {
    /// E(x), the scores that were asked for, and the one that a threshold needs. The threshold then
    /// also says how to score.
    pub fn new(wanted: &[Score], scoring: &Scoring, threshold: Option<Threshold>) -> Self {
        let mut columns = Self {
            scores: vec![Score::LogPx],
            scoring: threshold.as_ref().map_or(*scoring, Threshold::scoring),
            first: 0,
            shown: Vec::new(),
            classes: Vec::new(),
            probabilities: false,
            threshold,
        };
        let deciding = columns.threshold.as_ref().map(|t| t.score);
        for score in wanted.iter().copied().chain(deciding) {
            columns.show(score);
        }
        let first = wanted.first().copied().or(deciding);
        columns.first = first.map_or(0, |score| columns.at(score));
        columns
    }

    /// Names the classes; the predicted one gets a column, and on demand the probability of each.
    pub fn add_classes(&mut self, names: Vec<String>, probabilities: bool) {
        self.classes = names;
        self.probabilities = probabilities;
    }

    fn show(&mut self, score: Score) {
        let header = match (score, self.scoring.temperature) {
            // The column that is always there: a number stands under one name.
            (Score::LogPx, _) | (Score::Energy, 1.0) => return,
            (Score::Energy, temperature) => format!("energy(T={temperature})"),
            _ => score.word().to_owned(),
        };
        if !self.scores.contains(&score) {
            self.scores.push(score);
        }
        if self.shown.iter().all(|(h, _)| *h != header) {
            self.shown.push((header, self.at(score)));
        }
    }

    /// Which of the scores it is; `energy` at temperature 1 is the first.
    fn at(&self, score: Score) -> usize {
        self.scores.iter().position(|s| *s == score).unwrap_or(0)
    }

    /// Refuses what was found of an image where a number of it is not finite: nobody can compare
    /// with that.
    ///
    /// # Errors
    /// Names the file, the image's number within it, and the score.
    pub fn ensure_finite(&self, path: &Path, index: usize, found: &Found) -> Result<()> {
        let scores = self.scores.iter().zip(&found.scores);
        let mut bad = scores.filter(|(_, value)| !value.is_finite());
        let what = match bad.next() {
            Some((score, value)) => format!("the score `{}` is {value}", score.word()),
            None if found.probabilities.iter().all(|p| p.is_finite()) => return Ok(()),
            None => "a class probability is not finite".into(),
        };
        Err(Error::failure(
            format!("{}, image {index}", path.display()),
            what,
            "use another checkpoint, one of before the model diverged",
        ))
    }

    /// Whether the image is in distribution, where there is a threshold.
    pub fn accepts(&self, found: &Found) -> Option<bool> {
        let threshold = self.threshold.as_ref()?;
        Some(threshold.accepts(found.scores[self.at(threshold.score)]))
    }

    /// The headers, where the format has any.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_header(&self, out: &mut impl Write, format: Format) -> io::Result<()> {
        let Format::Csv = format else { return Ok(()) };
        let mut names = vec!["path".to_owned(), "index".into(), "energy".into()];
        if !self.classes.is_empty() {
            names.push("class".into());
        }
        names.extend(self.shown.iter().map(|(header, _)| header.clone()));
        if self.probabilities {
            names.extend(self.classes.iter().map(|class| quoted(&format!("p({class})"))));
        }
        if self.threshold.is_some() {
            names.push("verdict".into());
        }
        writeln!(out, "{}", names.join(","))
    }

    /// A row, or an object on a line, of the image of a number within a file.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_row(
        &self,
        out: &mut impl Write,
        format: Format,
        (path, index): (&Path, usize),
        found: &Found,
    ) -> io::Result<()> {
        let path = path.display().to_string();
        match format {
            Format::Csv => writeln!(out, "{},{index},{}", quoted(&path), self.cells(found).join(",")),
            Format::Jsonl => writeln!(out, "{}", self.object(&path, index, found)),
        }
    }

    fn cells(&self, found: &Found) -> Vec<String> {
        let mut cells = vec![written(found.scores[0])];
        cells.extend(self.class(found).map(quoted));
        cells.extend(self.shown.iter().map(|(_, at)| written(found.scores[*at])));
        if self.probabilities {
            cells.extend(found.probabilities.iter().map(f64::to_string));
        }
        cells.extend(self.accepts(found).map(|inside| verdict(inside).to_owned()));
        cells
    }

    fn object(&self, path: &str, index: usize, found: &Found) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("path", json!(path));
        put("index", json!(index));
        put("energy", json!(found.scores[0] as f32));
        if let Some(class) = self.class(found) {
            put("class", json!(class));
        }
        for (header, at) in &self.shown {
            put(header, json!(found.scores[*at]));
        }
        if self.probabilities {
            put("probabilities", json!(found.probabilities));
        }
        if let Some(inside) = self.accepts(found) {
            put("verdict", json!(verdict(inside)));
        }
        Value::Object(object)
    }

    /// The class with the largest probability, of a classifier.
    fn class(&self, found: &Found) -> Option<&str> {
        let numbered = found.probabilities.iter().zip(&self.classes);
        let best = numbered.max_by(|a, b| a.0.total_cmp(b.0));
        best.map(|(_, class)| class.as_str())
    }
}

fn verdict(inside: bool) -> &'static str {
    if inside { "in" } else { "out" }
}

/// A score in as many digits as it has: most are computed in f32.
fn written(value: f64) -> String {
    let short = value as f32;
    if f64::from(short) == value {
        short.to_string()
    } else {
        value.to_string()
    }
}
