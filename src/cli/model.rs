//! The options by which commands choose a run's weights, and the network they load with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tch::Device;

use super::progress::say;
use crate::error::Result;
use crate::judging::Loaded;
use crate::run::{self, RunDir, Trained, Which};
use crate::train;

/// Which weights of which checkpoint, and where to compute.
#[derive(Args)]
pub struct Choice {
    /// Weights to use
    #[arg(long, value_enum, default_value_t = Weights::Ema)]
    weights: Weights,
    /// Checkpoint to use: last, best, or a step
    #[arg(long, default_value = "last")]
    checkpoint: Which,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// The folder of the named data sets; data.root of the run unless given
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    /// The moving average where the run keeps one
    Ema,
    /// As the last update left them
    Raw,
}

impl Choice {
    /// Loads them to score images by.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn loaded(&self, run: &RunDir) -> Result<Loaded> {
        let (trained, _) = self.load(run)?;
        Loaded::new(run, trained, self.weights())
    }

    /// Loads them whatever the run's states are.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn loaded_any(&self, run: &RunDir) -> Result<Loaded> {
        let (trained, _) = self.load(run)?;
        Ok(Loaded::of_any(run, trained, self.weights()))
    }

    fn weights(&self) -> run::Weights {
        match self.weights {
            Weights::Ema => run::Weights::Ema,
            Weights::Raw => run::Weights::Raw,
        }
    }

    /// Loads the chosen network onto the chosen device; damaged checkpoints are told of on stderr.
    pub fn load(&self, run: &RunDir) -> Result<(Trained, Device)> {
        let device = train::device::parse(&self.device)?;
        let mut trained = run::load(run, self.checkpoint, self.weights(), device)?;
        if let Some(root) = &self.root {
            trained.experiment.data.root.clone_from(root);
        }
        for error in &trained.passed_over {
            say(&format!("warning: passed over: {error}"));
        }
        Ok((trained, device))
    }
}
