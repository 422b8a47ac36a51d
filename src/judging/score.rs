//! Scores of images in files, a row an image.

use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use super::loaded::{BATCH, Loaded};
use super::score_rows::{Columns, Found};
use super::strangest::Strangest;
use crate::data::{FitRule, ScoreBatch, ScoreInput};
use crate::error::Result;
use crate::eval::{Judge, Score};
use crate::rng::Stream;
use crate::run::Listener;

/// Images in files that are to be scored.
#[derive(Debug, Clone, Copy)]
pub struct ScoredFiles<'a> {
    /// Pictures, folders of pictures, and idx or .npy stacks.
    pub paths: &'a [PathBuf],
    /// Only so many rows, those with the highest score, the highest first.
    pub top: Option<usize>,
    /// With `top`, the PNG that these images are drawn as.
    pub sheet: Option<&'a Path>,
}

/// How many images were scored, could not be read or have no finite score, and are out of
/// distribution.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Have a row.
    pub scored: u64,
    /// Have none.
    pub failed: u64,
    /// Have a row and lie beyond the threshold.
    pub out: u64,
}

/// What takes a row: the file, the image's number within it, and what was found of it.
pub type Rows<'a> = &'a mut dyn FnMut((&Path, usize), &Found) -> Result<()>;

/// A judge of all columns; only a mean that no threshold remembers needs the run's data.
///
/// # Errors
/// Scores or a temperature that need logits which the network does not give, and data that cannot
/// be read.
pub fn judge_of_columns<'a>(loaded: &'a Loaded, columns: &Columns, listener: &dyn Listener) -> Result<Judge<'a>> {
    let (scores, scoring) = (&columns.scores, &columns.scoring);
    loaded.ensure(scores, scoring)?;
    if let Some(mean) = columns.threshold.as_ref().and_then(|t| t.typical) {
        return Ok(loaded.judge(scoring).with_typical(mean));
    }
    let data = match scores.contains(&Score::Typicality) && loaded.has_data() {
        true => Some(loaded.data(true)?),
        false => None,
    };
    loaded.judge_by(scores, scoring, data.as_ref().map(|d| &d.train), listener)
}

/// The rule by which images of another size are fitted, and whose it is, in words.
pub fn rule_of_columns(loaded: &Loaded, columns: &Columns) -> (FitRule, &'static str) {
    // A verdict is of images that are fitted as those that the threshold was fitted on.
    let own = loaded.trained.experiment.data.dataset.rule();
    let rule = columns.threshold.as_ref().and_then(|t| t.fit).unwrap_or(own);
    let whose = if rule == own {
        "the run's own"
    } else {
        "the threshold's"
    };
    (rule, whose)
}

impl ScoredFiles<'_> {
    /// Scores the images by the judge of the columns; `rows` takes a row of each, in their order or
    /// in that of `top`. The listener hears of each image that has no row.
    ///
    /// # Errors
    /// Those of `rows`, and a sheet that cannot be written.
    pub fn score(
        &self,
        loaded: &Loaded,
        judge: &Judge,
        columns: &Columns,
        listener: &dyn Listener,
        rows: Rows,
    ) -> Result<Counts> {
        let (rule, _) = rule_of_columns(loaded, columns);
        let mut input = ScoreInput::new(self.paths, loaded.image()?, rule);
        let mut rng = Stream::new(columns.scoring.seed, "score");
        let mut sorter = Sorter {
            columns,
            listener,
            strangest: self.top.map(|n| Strangest::new(n, columns.first)),
            rows,
            counts: Counts::default(),
        };
        while let Some(batch) = input.next_batch(BATCH) {
            let found = found(judge, columns, &batch, loaded.device, &mut rng)?;
            sorter.take(batch, found)?;
        }
        sorter.finish(self.sheet)
    }
}

/// Counts images, and gives those that have a row to who wants them.
struct Sorter<'a, 'r> {
    columns: &'a Columns,
    listener: &'a dyn Listener,
    /// The images that have a row in the end, where not all do.
    strangest: Option<Strangest>,
    rows: Rows<'r>,
    counts: Counts,
}

impl Sorter<'_, '_> {
    /// Takes a batch, and what was found of each of its images that could be read.
    fn take(&mut self, batch: ScoreBatch, found: Vec<Found>) -> Result<()> {
        let mut next = found.into_iter().zip(0..);
        for (path, index, outcome) in batch.items {
            let usable = outcome.and_then(|()| {
                let (found, at) = next.next().expect("scores for every image");
                self.columns.ensure_finite(&path, index, &found)?;
                Ok((found, at))
            });
            match usable {
                Ok((found, at)) => self.keep((path, index), found, &batch.images.get(at))?,
                Err(error) => {
                    self.listener.says(&format!("error: {error}"));
                    self.counts.failed += 1;
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, (path, index): (PathBuf, usize), found: Found, pixels: &Tensor) -> Result<()> {
        self.counts.scored += 1;
        self.counts.out += u64::from(self.columns.accepts(&found) == Some(false));
        match &mut self.strangest {
            Some(strangest) => strangest.offer((path, index), found, pixels),
            None => (self.rows)((&path, index), &found)?,
        }
        Ok(())
    }

    /// Gives the rows that were kept back, and draws them.
    fn finish(self, sheet: Option<&Path>) -> Result<Counts> {
        let Some(strangest) = &self.strangest else {
            return Ok(self.counts);
        };
        // The picture first: what cannot take the rows does not lose it.
        sheet.iter().try_for_each(|path| strangest.draw(path))?;
        for kept in strangest.kept() {
            (self.rows)((&kept.path, kept.index), &kept.found)?;
        }
        Ok(self.counts)
    }
}

/// What is found of each image of a batch.
fn found(judge: &Judge, columns: &Columns, batch: &ScoreBatch, device: Device, rng: &mut Stream) -> Result<Vec<Found>> {
    let judged = judge.judge(&columns.scores, &batch.images.to_device(device), BATCH, rng)?;
    let mut found: Vec<Found> = (0..batch.images.size()[0]).map(|_| Found::default()).collect();
    for column in &judged.scores {
        let values = Vec::<f64>::try_from(column.to_device(Device::Cpu))?;
        found.iter_mut().zip(values).for_each(|(f, value)| f.scores.push(value));
    }
    if let Some(probabilities) = &judged.probabilities {
        let rows = Vec::<Vec<f64>>::try_from(probabilities.to_device(Device::Cpu))?;
        found.iter_mut().zip(rows).for_each(|(f, row)| f.probabilities = row);
    }
    Ok(found)
}
