// Fills in the right half of test images that a run was not shown, by Langevin dynamics on the run's
// energy plus one that holds the left half where it was seen.
use std::path::Path;

use ebm::energy::{Energy, Sum};
use ebm::models::Form;
use ebm::rng::Stream;
use ebm::run::{self, RunDir, Weights, Which};
use ebm::sampling::run_chain;
use ebm::space::sum_each;
use ebm::{data, report};
use tch::{Device, Kind, Tensor};

/// T |mask (x - image)|^2 / (2 std^2): T times minus the log likelihood of what was seen, in noise of
/// this deviation.
struct Seen {
    image: Tensor,
    mask: Tensor,
    std: f64,
    temperature: f64,
}

impl Energy for Seen {
    fn energy(&self, x: &Tensor) -> Tensor {
        let misfit = sum_each(&(&self.mask * (x - &self.image)).square());
        misfit * (self.temperature / (2.0 * self.std * self.std))
    }
}

/// Restores `n` images; draws them above what the chains make of them.
fn restore(run: &Path, png: &Path, n: i64, steps: usize) -> ebm::Result<Tensor> {
    let trained = run::load(&RunDir::open(run)?, Which::Last, Weights::Ema, Device::Cpu)?;
    let e = &trained.experiment;
    let mut rng = Stream::new(0, "example");
    let image = data::open(&e.data, e.model.input(), Device::Cpu)?
        .test
        .random(n, &mut rng);
    let width = image.size()[3];
    let mask = Tensor::zeros([width], (Kind::Float, Device::Cpu));
    let _ = mask.narrow(0, 0, width / 2).fill_(1.0);

    let kernel = e.sampler()?.kernel.build(steps);
    let model = trained.model.freeze(Form::plain(e.temperature()));
    let start = &image * &mask + rng.uniform(&image.size(), -1.0, 1.0, Device::Cpu) * (1.0 - &mask);
    let seen = Seen {
        image: image.shallow_clone(),
        mask,
        std: 0.003,
        temperature: e.temperature(),
    };
    let posterior = Sum(vec![Box::new(model.outputs().any()), Box::new(seen)]);
    let x = run_chain(&*kernel, &posterior, start, steps, &mut rng).x;
    report::grid(&data::to_u8(&Tensor::cat(&[&image, &x], 0)), n as usize, png)?;
    Ok(x)
}

fn main() -> ebm::Result<()> {
    restore(Path::new("runs/strokes"), Path::new("restored.png"), 10, 200).map(|_| ())
}
