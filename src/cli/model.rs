//! The options by which commands choose a run's weights, and the network they load with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tch::Device;

use super::progress::say;
use crate::error::Result;
use crate::train::{self, RunDir, Trained, Which};

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
    /// The weights as they are named on the command line.
    pub fn weights_word(&self) -> &'static str {
        match self.weights {
            Weights::Ema => "ema",
            Weights::Raw => "raw",
        }
    }

    /// Loads the chosen network onto the chosen device; damaged checkpoints are told of on stderr.
    pub fn load(&self, run: &RunDir) -> Result<(Trained, Device)> {
        let device = train::device::parse(&self.device)?;
        let weights = match self.weights {
            Weights::Ema => train::Weights::Ema,
            Weights::Raw => train::Weights::Raw,
        };
        let mut trained = train::load(run, self.checkpoint, weights, device)?;
        if let Some(root) = &self.root {
            trained.experiment.data.root.clone_from(root);
        }
        for error in &trained.passed_over {
            say(&format!("warning: passed over: {error}"));
        }
        Ok((trained, device))
    }
}
