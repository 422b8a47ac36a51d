//! What a finished run shows: the final grid, the curves, how it classifies, and the out-of-distribution table.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::progress::Progress;
use super::sample::columns;
use super::synthesis::{Target, synthesize};
use crate::buffer::ReplayBuffer;
use crate::config::{Chains, Experiment, OodSet};
use crate::data::{self, Images};
use crate::error::Result;
use crate::eval::outliers::{self, OutlierSource};
use crate::eval::{self, Classification, Classifications, Judge, OodTable, Score};
use crate::nn::Network;
use crate::report;
use crate::rng::Stream;
use crate::sampling;
use crate::train::{RunDir, Trainer};

/// The record of a finished run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// Updates made.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// How test images are classified, where labels were trained on.
    #[serde(default)]
    pub classification: Option<Classification>,
    /// The out-of-distribution table, where the experiment asks for one.
    pub ood: Option<OodTable>,
}

const FILE: &str = "results.json";

/// The grid of a finished run, among its samples.
const FINAL: &str = "final.png";

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
        if experiment.objective.uses_chains() {
            progress.say("drawing images from noise ...");
            let n = experiment.report.images.max(100) as i64;
            let images = from_noise(&network, trainer, n, &mut |k| progress.at(k))?;
            report::grid(&images, columns(images.size()[0]), &run.samples().join(FINAL))?;
        }
        progress.finish();
        report::curves(&run.metrics(), &run.path().join("curves.png"))?;
        let limit = experiment.evaluate.limit.map_or(i64::MAX, |n| n as i64);
        let test = &trainer.data().test.first(limit);
        let classification = match experiment.objective.uses_labels() {
            true => classification(&network, test)?,
            false => None,
        };
        let ood = match experiment.evaluate.ood.is_empty() {
            true => None,
            false => {
                progress.say("computing energies for the out-of-distribution table ...");
                Some(ood_table(&network, trainer, test, &experiment.evaluate.ood)?)
            }
        };
        let results = Self {
            step: trainer.state().step,
            seconds: trainer.state().seconds,
            classification,
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
        let grid = run.samples().join(FINAL);
        if grid.is_file() {
            println!("  images synthesised from noise: {}", grid.display());
        }
        println!("  training curves:               {}", path.join("curves.png").display());
        if let Some(c) = &self.classification {
            println!(
                "\nclassification of {} test images: accuracy {:.2} %, NLL {:.4}, ECE {:.2} %",
                c.images,
                100.0 * c.accuracy,
                c.nll,
                100.0 * c.ece
            );
        }
        if let Some(ood) = &self.ood {
            println!("\nout of distribution, by energy (test images against each set; 1 is perfect, 0.5 is chance)\n");
            println!("{ood}");
        }
    }
}

/// `n` images synthesised from the run's initial distribution with the given weights, u8; class after class where
/// chains have classes.
///
/// The run's own streams are not touched; `step` hears of each step of the chains.
pub fn from_noise(network: &Network, trainer: &Trainer, n: i64, step: &mut dyn FnMut(u64)) -> Result<Tensor> {
    let e = trainer.experiment();
    let mut rng = Stream::new(e.seed, "report").derive(trainer.state().step);
    let target = match (e.objective.chains, network.classes()) {
        (Chains::ByClass, Some(classes)) => Target::Classes(ReplayBuffer::even_classes(n, classes, trainer.device())),
        _ => Target::Any,
    };
    let starts = trainer.starter().draw(n, target.first_classes(), &mut rng);
    let mut watch = |_: i64, k: usize, _: &Tensor| step(k as u64);
    let x = synthesize(network, e, &target, &starts, e.sample_steps(), &mut rng, &mut watch);
    Ok(data::to_u8(&x))
}

/// How labelled images are classified; none where they have no labels.
pub fn classification(network: &Network, images: &Images) -> Result<Option<Classification>> {
    let labels = images.labels.as_ref().filter(|_| !images.is_empty());
    let (Some(classes), Some(labels)) = (network.classes(), labels) else {
        return Ok(None);
    };
    let frozen = network.frozen(Kind::Float);
    let mut seen = Classifications::new(classes as usize);
    seen.add(
        &eval::outputs(&|x| Ok(frozen.forward(x)), &images.pixels, BATCH)?,
        labels,
    )?;
    seen.finish().map(Some)
}

/// AUROC of the energy between `inside` and each of `sets`.
pub fn ood_table(network: &Network, trainer: &Trainer, inside: &Images, sets: &[OodSet]) -> Result<OodTable> {
    let e = trainer.experiment();
    let frozen = sampling::score_energy(&e.sampler, network);
    let judge = Judge::new(&frozen);
    let rng = Stream::new(e.seed, "ood");
    let energies = |images: &Tensor| -> Result<Tensor> {
        let mut judged = judge.judge(&[Score::LogPx], images, BATCH, &mut rng.clone())?;
        Ok(judged.scores.remove(0))
    };
    let limit = e.evaluate.limit.map_or(i64::MAX, |n| n as i64);
    let inside = inside.first(limit);
    let source = OutlierSource {
        inside: &inside,
        root: &e.data.root,
        limit: e.evaluate.limit,
        device: trainer.device(),
    };
    let row = |set: &OodSet| Ok((outliers::set_name(set), energies(&source.images(set, &rng)?)?));
    let sets = sets.iter().map(row).collect::<Result<Vec<_>>>()?;
    OodTable::new(&data::name(&e.data.dataset), &energies(&inside.pixels)?, &sets)
}

/// Refuses sets that a table would find missing, or unusable, only after training.
pub fn ensure_outside(e: &Experiment, device: Device) -> Result<()> {
    e.evaluate.ood.iter().try_for_each(|set| match set {
        OodSet::Data(d) => data::test_images(d, &e.data.root, e.model.input, device, e.evaluate.limit).map(drop),
        _ => Ok(()),
    })
}
