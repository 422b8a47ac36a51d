//! What a finished run shows: the final grid, the curves, and the out-of-distribution table.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::progress::Progress;
use super::sample::columns;
use super::synthesis::synthesize;
use crate::config::{Experiment, OodSet};
use crate::data::{self, Images};
use crate::energy::{Energy, FrozenEnergy};
use crate::error::Result;
use crate::eval::{self, OodTable};
use crate::nn::Network;
use crate::report;
use crate::rng::Stream;
use crate::sampling::Langevin;
use crate::train::{RunDir, Trainer};

/// The record of a finished run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// Updates made.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The out-of-distribution table, where the experiment asks for one.
    pub ood: Option<OodTable>,
}

const FILE: &str = "results.json";

/// Images whose energies are computed together.
const BATCH: usize = 500;

impl Results {
    /// The results of a run that finished at `step`.
    pub fn of(run: &RunDir, step: u64) -> Option<Self> {
        run.read_json::<Self>(FILE).filter(|r| r.step == step)
    }

    /// Makes the final pictures and tables, and records them.
    pub fn make(trainer: &Trainer) -> Result<Self> {
        let (experiment, run) = (trainer.experiment(), trainer.run_dir());
        let network = trainer.state().averaged(trainer.device())?;
        let progress = Progress::new(experiment.sample_steps() as u64, 0);
        progress.say("drawing images from noise ...");
        let images = from_noise(&network, trainer, experiment.report.images.max(100) as i64, &mut |k| {
            progress.at(k)
        })?;
        progress.finish();
        report::grid(&images, columns(images.size()[0]), &run.samples().join("final.png"))?;
        report::curves(&run.metrics(), &run.path().join("curves.png"))?;
        let ood = match experiment.evaluate.ood.is_empty() {
            true => None,
            false => {
                progress.say("computing energies for the out-of-distribution table ...");
                Some(ood_table(&network, trainer, &trainer.data().test)?)
            }
        };
        let results = Self {
            step: trainer.state().step,
            seconds: trainer.state().seconds,
            ood,
        };
        run.write_json(FILE, &results)?;
        Ok(results)
    }

    /// Prints the results and where the pictures are.
    pub fn print(&self, run: &RunDir) {
        let path = run.path();
        println!(
            "\n{}: finished at step {}, {:.0} s of training",
            path.display(),
            self.step,
            self.seconds
        );
        println!(
            "  images synthesised from noise: {}",
            run.samples().join("final.png").display()
        );
        println!("  training curves:               {}", path.join("curves.png").display());
        if let Some(ood) = &self.ood {
            println!("\nout of distribution, by energy (test images against each set; 1 is perfect, 0.5 is chance)\n");
            println!("{ood}");
        }
    }
}

/// `n` images synthesised from the run's initial distribution with the given weights, u8.
///
/// The run's own streams are not touched; `step` hears of each step of the chains.
pub fn from_noise(network: &Network, trainer: &Trainer, n: i64, step: &mut dyn FnMut(u64)) -> Result<Tensor> {
    let e = trainer.experiment();
    let mut rng = Stream::new(e.seed, "report").derive(trainer.state().step);
    let starts = trainer.starter().draw(n, None, &mut rng);
    let mut watch = |_: i64, k: usize, _: &Tensor| step(k as u64);
    let x = synthesize(network, &e.sampler, &starts, e.sample_steps(), &mut rng, &mut watch);
    Ok(data::to_u8(&x))
}

/// AUROC of the energy between `inside` and every set that the experiment names.
pub fn ood_table(network: &Network, trainer: &Trainer, inside: &Images) -> Result<OodTable> {
    let e = trainer.experiment();
    let frozen = FrozenEnergy::new(
        network,
        Kind::Float,
        Langevin::new(&e.sampler, e.sampler.n_steps).temperature(),
    );
    let energies = |levels: &Tensor| eval::energies(&|x| frozen.energy(x), levels, BATCH);
    let limit = e.evaluate.limit.map_or(i64::MAX, |n| n as i64);
    let inside = inside.first(limit.min(inside.len()));
    let mut rng = Stream::new(e.seed, "ood");
    let mut sets = Vec::new();
    for set in &e.evaluate.ood {
        let (name, levels) = outside(set, e, &inside, trainer.device(), &mut rng)?;
        sets.push((name, energies(&levels)));
    }
    OodTable::new(&data::name(&e.data.dataset), &energies(&inside.pixels), &sets)
}

/// Refuses sets that a table would find missing, or of another size, only after training.
pub fn ensure_outside(e: &Experiment, device: Device) -> Result<()> {
    e.evaluate.ood.iter().try_for_each(|set| match set {
        OodSet::Data(d) => data::test_images(d, &e.data.root, e.model.input, device, e.evaluate.limit).map(drop),
        OodSet::Uniform | OodSet::Flipped => Ok(()),
    })
}

/// One set's images, u8, with its name.
fn outside(
    set: &OodSet,
    e: &Experiment,
    inside: &Images,
    device: Device,
    rng: &mut Stream,
) -> Result<(String, Tensor)> {
    Ok(match set {
        OodSet::Data(dataset) => {
            let images = data::test_images(dataset, &e.data.root, e.model.input, device, e.evaluate.limit)?;
            (data::name(dataset), images.pixels)
        }
        OodSet::Uniform => {
            let [c, h, w] = inside.shape();
            let noise = eval::uniform_noise([inside.len(), c, h, w], device, rng);
            ("uniform noise".into(), noise)
        }
        OodSet::Flipped => ("upside down".into(), eval::flipped(&inside.pixels)),
    })
}
