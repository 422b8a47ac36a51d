//! Changes of a trained run's sampler, for chains that are run on it afterwards.

use std::path::Path;

use crate::config::yaml;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, legacy};

/// Puts the sampler of a file in the place of the run's: of an experiment file its `sampler` section,
/// else the whole file. Where chains of training start, and their classes, stay the run's.
///
/// # Errors
/// A file that is no sampler, or one that does not fit the run's model.
pub fn replace_sampler(experiment: &mut Experiment, file: &Path) -> Result<()> {
    let mut tree = yaml::to_value(experiment);
    let given = yaml::parse(&yaml::read(file)?, file)?;
    let mut given = given.get("sampler").cloned().unwrap_or(given);
    if let (Some(own), Some(given)) = (tree.get("sampler"), given.as_mapping_mut()) {
        for key in ["start", "classes"] {
            if let Some(value) = own.get(key) {
                given.insert(key.into(), value.clone());
            }
        }
    }
    tree["sampler"] = given;
    legacy::upgrade(&mut tree);
    let changed: Experiment = yaml::typed(tree, file)?;
    changed.check(file)?;
    *experiment = changed;
    Ok(())
}

/// Writes changes into the run's sampler: `init` as `sampler.init` would say it, and each of `sets`
/// as `sampler.KEY=VALUE`; `fresh` says whether the chains start from the sampler's distribution.
///
/// # Errors
/// A key that is not of the sampler, a value that a training would refuse, a start that no chain
/// takes.
pub fn change_chains(experiment: &mut Experiment, init: Option<&str>, sets: &[String], fresh: bool) -> Result<()> {
    if let (Some(init), false) = (init, fresh) {
        return Err(Error::input(
            format!("--init {init}"),
            "says where fresh chains start, and --from starts them elsewhere",
            "give one of the two",
        ));
    }
    if init.is_none() && sets.is_empty() {
        return Ok(());
    }
    experiment.sampler()?;
    sets.iter().try_for_each(|set| ensure_of_sampler(set))?;
    let mut changes = sets.to_vec();
    if let Some(init) = init {
        // What is wrong with it is told by its own name.
        yaml::parse(init, Path::new("--init"))?;
        changes.push(format!("sampler.init={init}"));
    }
    if changes.iter().any(|change| change.starts_with("sampler.init")) && experiment.objective.asks().generator {
        // Who says where chains start does not want them from the generator.
        changes.push("objective.cooperative=null".to_owned());
    }
    let place = Path::new(match (init, sets.is_empty()) {
        (None, _) => "--set",
        (_, true) => "--init",
        _ => "--init and --set",
    });
    *experiment = experiment.changed(&changes, place)?;
    Ok(())
}

fn ensure_of_sampler(set: &str) -> Result<()> {
    if set.starts_with("sampler.") || set.starts_with("compute.") {
        return Ok(());
    }
    Err(Error::input(
        format!("--set {set}"),
        "the run is trained; only keys of its sampler change how chains are run here",
        "give a key such as sampler.n_steps=50, or train another run by ebm train --set",
    ))
}
