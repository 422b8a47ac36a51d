// Loads a trained run, draws 16 images by Langevin dynamics from noise, and prints their energies.
use std::path::Path;

use ebm::energy::Energy;
use ebm::models::Form;
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use ebm::sampling::run_chain;
use ebm::{data, report};
use tch::Device;

fn draw(run: &Path, png: &Path, steps: usize) -> ebm::Result<()> {
    let trained = run::load(&RunDir::open(run)?, Which::Last, Weights::Ema, Device::Cpu)?;
    let e = &trained.experiment;
    let kernel = e.sampler()?.kernel.build(steps);
    let model = trained.model.freeze(Form::plain(e.temperature()));
    let energy = model.outputs().any();
    let mut rng = Stream::new(0, "example");
    let start = rng.uniform(&e.space().batch(16), -1.0, 1.0, Device::Cpu);
    let chain = run_chain(&*kernel, &energy, start, steps, &mut rng);
    println!("{}", energy.energy(&chain.x)); // [16], low = likely
    report::grid(&data::to_u8(&chain.x), 4, png)
}

fn main() -> ebm::Result<()> {
    draw(Path::new("runs/mnist"), Path::new("grid.png"), 300)
}
