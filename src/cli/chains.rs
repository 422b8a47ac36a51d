//! The options that change how a command's chains start, move and end, whatever the run was trained
//! with.

use std::path::PathBuf;

use crate::error::Result;
use crate::experiment::Experiment;
use crate::sampling::Length;
use crate::train::{change_chains, replace_sampler};

/// How chains of a command differ from those of the run.
#[derive(clap::Args)]
#[command(next_help_heading = "Chains")]
pub struct Options {
    /// Where fresh chains start, as sampler.init says it: data, '{uniform: [-1, 1]}',
    /// '{class-gaussians: {jitter: 1e-3}}'; as in the run unless given
    #[arg(long, value_name = "DISTRIBUTION")]
    init: Option<String>,
    /// Move the chains by the sampler of this file in the place of the run's: an experiment file, or
    /// its sampler section alone
    #[arg(long, value_name = "FILE")]
    sampler: Option<PathBuf>,
    /// Change a key of the run's sampler for these chains, as sampler.n_steps=50 (may be repeated)
    #[arg(long = "set", value_name = "sampler.KEY=VALUE")]
    sets: Vec<String>,
    /// So many further steps without noise, at the last step's size, after those of the chains
    #[arg(long, value_name = "K", default_value_t = 0)]
    final_steps: usize,
}

impl Options {
    /// Chains of so many steps with noise, and of the further ones that are asked for.
    pub fn length(&self, steps: usize) -> Length {
        Length {
            steps,
            quiet: self.final_steps,
        }
    }

    /// Writes the changes into the run's sampler; `fresh` says whether the chains start from its
    /// distribution.
    ///
    /// # Errors
    /// A key that is not of the sampler, a value that a training would refuse, a start that no chain takes.
    pub fn apply(&self, experiment: &mut Experiment, fresh: bool) -> Result<()> {
        if let Some(file) = &self.sampler {
            replace_sampler(experiment, file)?;
        }
        change_chains(experiment, self.init.as_deref(), &self.sets, fresh)
    }
}
