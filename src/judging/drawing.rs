//! Images that are drawn from a trained run by what was asked for, and the films of their chains.

use std::path::{Path, PathBuf};

use tch::Tensor;

use super::reel::{FILMED, Reel, films};
use super::request::Request;
use crate::data;
use crate::error::Result;
use crate::experiment::memory;
use crate::rng::Stream;
use crate::sampling::Length;
use crate::train::{ChainStart, Listener, RunDir, Trained, starts};

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
    /// Decides the starts and the noise.
    pub seed: u64,
}

/// Images, and the films of the chains that drew them.
#[derive(Debug)]
pub struct Pictured {
    /// u8 `[N,C,H,W]`.
    pub images: Tensor,
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
        memory::ensure_images("-n", n, &e.model.input, trained.network.device())?;
        let mut rng = Stream::new(self.seed, "sample");
        let starts = starts(self.from, self.run, trained, n, target.first_classes(), &mut rng)?;
        let reels = Reel::of(self.film, target, self.length);
        let mut frames = Vec::new();
        let mut watch = |first: i64, k: usize, x: &Tensor| {
            listener.reaches(k as u64);
            if first == 0 && reels.iter().any(|reel| reel.takes(k)) {
                frames.push((k, data::to_u8(&x.narrow(0, 0, x.size()[0].min(FILMED)))));
            }
        };
        listener.begins(self.length.whole() as u64);
        let x = e
            .synthesis(&trained.network)?
            .run(target, &starts, self.length, &mut rng, &mut watch);
        listener.ends();
        Ok(Pictured {
            images: data::to_u8(&x?),
            reels,
            frames,
        })
    }
}

impl Pictured {
    /// Writes what the frames are made into beside the output; gives the paths.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn films(&self, out: &Path) -> Result<Vec<PathBuf>> {
        films(&self.reels, &self.frames, out)
    }
}
