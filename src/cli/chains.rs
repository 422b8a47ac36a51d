//! The options that change how a command's chains start, move and end, whatever the run was trained
//! with.

use std::path::Path;

use crate::config::yaml;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::sampling::Length;

/// How chains of a command differ from those of the run.
#[derive(clap::Args)]
#[command(next_help_heading = "Chains")]
pub struct Options {
    /// Where fresh chains start, as sampler.init says it: data, '{uniform: [-1, 1]}',
    /// '{class-gaussians: {jitter: 1e-3}}'; as in the run unless given
    #[arg(long, value_name = "DISTRIBUTION")]
    init: Option<String>,
    /// Change a key of the run's sampler for these chains, as sampler.step_size=5 (may be repeated)
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
        if let (Some(init), false) = (&self.init, fresh) {
            return Err(Error::input(
                format!("--init {init}"),
                "says where fresh chains start, and --from starts them elsewhere",
                "give one of the two",
            ));
        }
        if self.init.is_none() && self.sets.is_empty() {
            return Ok(());
        }
        let mut tree = yaml::to_value(experiment);
        for set in &self.sets {
            ensure_of_sampler(set)?;
            yaml::set(&mut tree, set)?;
        }
        if let Some(init) = &self.init {
            let place = Path::new("--init");
            let section = tree.get_mut("sampler").and_then(|s| s.as_mapping_mut());
            let section = section.expect("every experiment has a sampler");
            section.insert("init".into(), yaml::parse(init, place)?);
        }
        let place = Path::new(match (&self.init, self.sets.is_empty()) {
            (None, _) => "--set",
            (_, true) => "--init",
            _ => "--init and --set",
        });
        let changed: Experiment = yaml::typed(tree, place)?;
        changed.check(place)?;
        *experiment = changed;
        Ok(())
    }
}

fn ensure_of_sampler(set: &str) -> Result<()> {
    if set.starts_with("sampler.") {
        return Ok(());
    }
    Err(Error::input(
        format!("--set {set}"),
        "the run is trained; only keys of its sampler change how chains are run here",
        "give a key such as sampler.step_size=5, or train another run by ebm train --set",
    ))
}
