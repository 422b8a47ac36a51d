// Trains an experiment into the folder of a run, with its metrics, pictures, checkpoints and results, as `ebm train` does.
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ebm::experiment::Experiment;
use ebm::train::{Outcome, Results, RunDir, State, Trainer, own_data};
use ebm::{data, sampling};
use tch::Device;

/// Trains for some steps; nothing comes back of a run that diverges.
fn train(experiment: &Path, out: &Path, steps: u64) -> ebm::Result<Option<Results>> {
    let mut e = Experiment::load(experiment, &[format!("train.steps={steps}")])?;
    let device = Device::Cpu;
    let images = data::open(&e.data, e.model.input, device)?;
    let starter = sampling::Starter::new(&e.sampler.init, e.model.input, Some(&images.train), device)?;
    let state = State::new(&e, &images, &starter, device)?;
    // The faster of the precisions and layouts that the experiment leaves open.
    sampling::resolve_auto(&mut e.sampler, &state.network, e.train.batch_size);
    let run = RunDir::create(out, "", &e, |run| run.write_json(own_data::DATA, &images.record))?;
    let mut trainer = Trainer::new(e, images, starter, run, device, state)?;
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
