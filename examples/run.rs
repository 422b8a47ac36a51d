// Trains an experiment into the folder of a run, with its metrics, pictures, checkpoints and results, as `ebm train` does.
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ebm::experiment::Experiment;
use ebm::train::{Begun, Outcome, Results, Start};

/// Trains for some steps; nothing comes back of a run that diverges.
fn train(experiment: &Path, out: &Path, steps: u64) -> ebm::Result<Option<Results>> {
    let e = Experiment::load(experiment, &[format!("train.steps={steps}")])?;
    let start = Start {
        file: experiment,
        out,
        resume: false,
        init_from: None,
    };
    // `()` hears nothing; a `Listener` hears of the data and of what was measured on this machine.
    let mut trainer = match start.begin(e, &())? {
        Begun::Ready(trainer) => trainer,
        Begun::Finished(results, _) => return Ok(Some(*results)),
    };
    // `()` watches nothing; an `Observer` shows how it goes, and the flag stops the run after a step.
    match trainer.run(&mut (), &AtomicBool::new(false))? {
        Outcome::Finished => trainer.results(&mut ()).map(Some),
        Outcome::Interrupted { .. } | Outcome::Diverged => Ok(None),
    }
}

fn main() -> ebm::Result<()> {
    let results = train(Path::new("experiments/strokes.yaml"), Path::new("runs/example"), 300)?;
    if let Some(table) = results.and_then(|r| r.ood) {
        println!("{table}");
    }
    Ok(())
}
