//! The films of chains: after which steps a frame is taken, and what frames are made into.

use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::energy::halfway;
use crate::error::Result;
use crate::report;
use crate::sampling::{Length, Target};

/// The most frames that a film keeps.
const FRAMES: usize = 60;

/// The most columns of a strip.
const COLUMNS: usize = 12;

/// The most chains that a film shows.
pub(super) const FILMED: i64 = 16;

/// After which steps of a chain a frame is taken for one file.
#[derive(Debug)]
pub(super) struct Reel {
    ends: Ends,
    /// In their order.
    steps: Vec<usize>,
}

/// What a reel is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    /// The film of whole chains.
    Film,
    /// The strip of whole chains.
    Strip,
    /// The way from one class to another.
    Interpolation,
}

impl Ends {
    /// Of the file beside the output.
    fn ending(self) -> &'static str {
        match self {
            Self::Film => "film.gif",
            Self::Strip => "strip.png",
            Self::Interpolation => "interpolation.png",
        }
    }
}

impl Reel {
    /// The steps in words.
    fn captions(&self) -> Vec<String> {
        self.steps.iter().map(|k| format!("step {k}")).collect()
    }

    /// The reels of chains that move by this target; `film` asks for those of whole chains.
    pub(super) fn of(film: bool, target: &Target, length: Length) -> Vec<Self> {
        let reel = |ends, steps| Self { ends, steps };
        let last = length.whole();
        let whole = film.then(|| reel(Ends::Film, evenly(0, last, FRAMES)));
        let strip = film.then(|| reel(Ends::Strip, by_logarithm(last, COLUMNS)));
        let between = matches!(target, Target::Between { .. });
        let half = halfway(length.steps);
        let way = between.then(|| reel(Ends::Interpolation, evenly(half, last, COLUMNS - 1)));
        whole.into_iter().chain(strip).chain(way).collect()
    }

    pub(super) fn takes(&self, k: usize) -> bool {
        self.steps.binary_search(&k).is_ok()
    }

    fn select(&self, frames: &[(usize, Tensor)]) -> Vec<Tensor> {
        let own = frames.iter().filter(|(k, _)| self.takes(*k));
        own.map(|(_, frame)| frame.shallow_clone()).collect()
    }
}

/// Steps at even distances, the first and the last among them, `most` distances at most.
fn evenly(first: usize, last: usize, most: usize) -> Vec<usize> {
    let stride = (last - first).div_ceil(most).max(1);
    let steps = (first..last).step_by(stride);
    steps.chain([last]).collect()
}

/// The start, and steps up to the last at distances that grow in proportion, `most` in all at most.
fn by_logarithm(last: usize, most: usize) -> Vec<usize> {
    let mut steps = vec![0];
    for i in 0..most - 1 {
        let share = i as f64 / (most - 2) as f64;
        let even = (last as f64).powf(share).round() as usize;
        let next = even.max(steps[i] + 1);
        if next > last {
            break;
        }
        steps.push(next);
    }
    steps
}

/// What the frames are made into, beside the output: `NAME.film.gif` and `NAME.strip.png` of the
/// whole chains, the strip's columns at the steps that are written beneath
/// them, and `NAME.interpolation.png` of their second half where they go from one class to another.
pub(super) fn films(reels: &[Reel], frames: &[(usize, Tensor)], out: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for reel in reels {
        let own = reel.select(frames);
        let path = out.with_extension(reel.ends.ending());
        match reel.ends {
            Ends::Film => report::film(&own, report::columns(own.first().map_or(1, |f| f.size()[0])), &path)?,
            Ends::Strip => report::strip(&own, &reel.captions(), &path)?,
            Ends::Interpolation => report::strip(&own, &[], &path)?,
        }
        paths.push(path);
    }
    Ok(paths)
}
