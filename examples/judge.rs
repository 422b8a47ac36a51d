// Synthesises images from a trained run, and tells the run's test images from them by -log p(x).
use std::path::Path;

use ebm::eval::{self, Judge, Score};
use ebm::rng::Stream;
use ebm::sampling::{Length, Target};
use ebm::train::{self, ChainStart, RunDir, Weights, Which};
use ebm::{data, sampling};
use tch::Device;

/// The AUROC of -log p(x) between test images and `n` synthesised ones: 0.5 where it cannot tell them apart.
fn auroc(run: &Path, n: i64, steps: usize) -> ebm::Result<f64> {
    let run = RunDir::open(run)?;
    let trained = train::load(&run, Which::Last, Weights::Ema, Device::Cpu)?;
    let e = &trained.experiment;
    let mut rng = Stream::new(0, "example");

    let starts = train::starts(ChainStart::Noise, &run, &trained, n, None, &mut rng)?;
    let chains = e.synthesis(&trained.network);
    let made = chains.run(&Target::Any, &starts, Length::of(steps), &mut rng, &mut |_, _, _| ())?;

    let energy = sampling::score_energy(&e.sampler, &trained.network);
    let judge = Judge::new(&energy);
    let mut scores = |images| judge.judge_all(&[Score::LogPx], images, 250, &mut rng);
    let test = data::open(&e.data, e.model.input, Device::Cpu)?.test;
    let (inside, outside) = (scores(&test.pixels)?, scores(&data::to_u8(&made))?);
    eval::auroc(&inside.scores[0], &outside.scores[0])
}

fn main() -> ebm::Result<()> {
    let auroc = auroc(Path::new("runs/strokes"), 200, 80)?;
    println!("AUROC of test images against synthesised ones: {auroc:.3}");
    Ok(())
}
