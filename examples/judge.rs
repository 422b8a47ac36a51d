// Synthesises images from a trained run, and tells the run's test images from them by -log p(x).
use std::path::Path;

use ebm::eval::{self, Score};
use ebm::judging::{Drawing, Loaded, Request, Scoring, Wish};
use ebm::rng::Stream;
use ebm::run::{RunDir, Weights, Which};
use ebm::sampling::Length;
use ebm::train::ChainStart;
use tch::Device;

/// The AUROC of -log p(x) between test images and `n` synthesised ones: 0.5 where it cannot tell them apart.
fn auroc(run: &Path, n: i64, steps: usize) -> ebm::Result<f64> {
    let run = RunDir::open(run)?;
    let loaded = Loaded::open(&run, Which::Last, Weights::Ema, Device::Cpu)?;

    let drawing = Drawing {
        run: &run,
        trained: &loaded.trained,
        request: &Request::new(&run, &loaded.trained, &Wish::Any, Some(n), None)?,
        from: ChainStart::Noise,
        length: Length::of(steps),
        film: false,
        diagnostics: false,
        seed: 0,
    };
    let made = drawing.draw(&())?;

    let judge = loaded.judge(&Scoring::default());
    let mut rng = Stream::new(0, "example");
    let mut scores = |images| judge.judge_all(&[Score::LogPx], images, 250, &mut rng);
    let test = loaded.data(false)?.test;
    let (inside, outside) = (scores(&test.pixels)?, scores(&made.images())?);
    eval::auroc(&inside.scores[0], &outside.scores[0])
}

fn main() -> ebm::Result<()> {
    let auroc = auroc(Path::new("runs/strokes"), 200, 80)?;
    println!("AUROC of test images against synthesised ones: {auroc:.3}");
    Ok(())
}
