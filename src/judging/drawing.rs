//! Images that are drawn from a trained run by what was asked for, and the films of their chains.

use std::path::{Path, PathBuf};

use tch::Tensor;

use super::reel::{FILMED, Reel, films};
use super::request::Request;
use crate::data;
use crate::error::Result;
use crate::experiment::memory;
use crate::rng::Stream;
use crate::run::{Listener, RunDir, Trained, own_data};
use crate::sampling::diagnostics::{Diagnostics, Traces};
use crate::sampling::{ChainState, Length, StepInfo, WatchBatches};
use crate::train::{ChainStart, Over, density_map, starts};
use crate::{files, report};

/// How images are drawn from a run.
pub struct Drawing<'a> {
    /// The run's folder.
    pub run: &'a RunDir,
    /// Its network, and the sampler that moves the chains.
    pub trained: &'a Trained,
    /// What is asked for.
    pub request: &'a Request,
    /// Where the chains start.
    pub from: ChainStart,
    /// How long they are.
    pub length: Length,
    /// Whether whole chains are filmed.
    pub film: bool,
    /// Whether the chains' mixing is looked at.
    pub diagnostics: bool,
    /// Decides the starts and the noise.
    pub seed: u64,
}

/// States, and the films of the chains that drew them.
#[derive(Debug)]
pub struct Pictured {
    /// Where the chains ended, f32 `[N,..]`.
    pub states: Tensor,
    /// How well the first batch of chains has mixed, where that was asked for.
    pub diagnostics: Option<Diagnostics>,
    reels: Vec<Reel>,
    /// The first chains, each with the step after which it was taken.
    frames: Vec<(usize, Tensor)>,
}

impl Drawing<'_> {
    /// Runs the chains; the listener hears of each of their steps.
    ///
    /// # Errors
    /// Too many images for the memory, starts that are not there, and chains that are not finite.
    pub fn draw(&self, listener: &dyn Listener) -> Result<Pictured> {
        let (trained, target, n) = (self.trained, &self.request.target, self.request.images);
        let e = &trained.experiment;
        memory::ensure_images("-n", n, e.model.input(), trained.model.device())?;
        let mut rng = Stream::new(self.seed, "sample");
        let starts = starts(self.from, self.run, trained, n, target.first_classes(), &mut rng)?;
        let reels = Reel::of(self.film, target, self.length);
        let warm_up = e.sampler()?.warm_up.map_or(self.length.steps / 2, |w| w.steps);
        let mut watch = Spectator {
            listener,
            reels: &reels,
            frames: Vec::new(),
            wanted: self.diagnostics.then_some((self.length.whole(), warm_up)),
            traces: None,
        };
        listener.begins(self.length.whole() as u64);
        let x = e
            .synthesis(&*trained.model)?
            .run(target, &starts, self.length, &mut rng, &mut watch);
        listener.ends();
        let (frames, traces) = (watch.frames, watch.traces);
        Ok(Pictured {
            states: x?,
            diagnostics: traces.map(Traces::finish),
            reels,
            frames,
        })
    }
}

/// Who sees the chains: a progress bar, the films, the traces.
struct Spectator<'a> {
    listener: &'a dyn Listener,
    reels: &'a [Reel],
    frames: Vec<(usize, Tensor)>,
    /// Steps, and those of them that enter no figure, of traces that are asked for.
    wanted: Option<(usize, usize)>,
    traces: Option<Traces>,
}

impl Spectator<'_> {
    fn picture(&mut self, first: i64, k: usize, x: &Tensor) {
        self.listener.reaches(k as u64);
        if first == 0 && self.reels.iter().any(|reel| reel.takes(k)) {
            let shown = x.narrow(0, 0, x.size()[0].min(FILMED));
            self.frames.push((k, data::to_u8(&shown)));
        }
    }
}

impl WatchBatches for Spectator<'_> {
    fn started(&mut self, first: i64, state: &ChainState) {
        self.picture(first, 0, &state.x);
        if let (0, Some((steps, warm_up))) = (first, self.wanted) {
            let rng = &mut Stream::new(0, "projections");
            let (size, device) = (state.x.size(), state.x.device());
            self.traces = Some(Traces::new(steps, warm_up, &size, device, rng));
        }
    }

    fn seen(&mut self, first: i64, k: usize, state: &ChainState, info: &StepInfo) {
        self.picture(first, k, &state.x);
        if let (0, Some(traces)) = (first, &mut self.traces) {
            traces.record(&state.x, info);
        }
    }
}

impl Pictured {
    /// u8 `[N,C,H,W]` of states that are images.
    pub fn images(&self) -> Tensor {
        data::to_u8(&self.states)
    }

    /// Writes states that are points: as a heat map of the run's density with samples and data over
    /// it, or f32 `[N,D]` where the path ends in `.npy`.
    ///
    /// # Errors
    /// When the run's data cannot be drawn, or the path cannot be written.
    pub fn write_points(&self, run: &RunDir, trained: &Trained, path: &Path) -> Result<()> {
        files::create_parent(path)?;
        if path.extension().is_some_and(|ending| ending == "npy") {
            return report::npy_points(&self.states, path);
        }
        let e = &trained.experiment;
        let data = own_data::open(run, e, trained.model.device())?;
        let over = Over {
            data: Some(data.train.chunk(0, self.states.size()[0])),
            samples: Some(self.states.shallow_clone()),
        };
        let title = format!("{}, step {}", e.name, trained.step);
        density_map(e, &*trained.model, &over, &title, path)
    }

    /// Writes what the frames are made into beside the output; gives the paths.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn films(&self, out: &Path) -> Result<Vec<PathBuf>> {
        films(&self.reels, &self.frames, out)
    }
}
