//! What a finished run shows: the final grid, the curves, how it classifies, and the out-of-distribution table.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::chains::Length;
use super::progress::Progress;
use super::starts::{self, From};
use super::stdout::outln;
use super::synthesis::{Target, captions, synthesize};
use crate::buffer::ReplayBuffer;
use crate::config::{Chains, Dataset, Experiment, OodSet};
use crate::data::{self, Images, Wanted};
use crate::error::{Result, shown_path};
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

/// How many images it has at least.
pub(super) const FINAL_IMAGES: usize = 100;

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
            progress.say("drawing images by fresh chains ...");
            let n = experiment.report.images.max(FINAL_IMAGES) as i64;
            let Drawn { images, captions, .. } = from_noise(&network, trainer, n, &mut |k| progress.at(k))?;
            let wide = report::columns(images.size()[0]);
            report::sheet(&images, &captions, wide, &run.file("samples/final.png")?)?;
        }
        progress.finish();
        report::curves(&run.metrics(), &run.file("curves.png")?)?;
        let test = &trainer
            .data()
            .test
            .sampled(experiment.evaluate.limit, experiment.seed)?;
        let classification = match experiment.objective.uses_labels() {
            true => classification(&network, test)?,
            false => None,
        };
        let ood = match experiment.evaluate.ood.is_empty() {
            true => None,
            false => {
                progress.say("computing energies for the out-of-distribution table ...");
                for set in experiment.evaluate.ood.iter().filter_map(OodSet::data) {
                    progress.say(&format!("{}: {}", data::name(set), fit_words(experiment, set)));
                }
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
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, run: &RunDir) -> Result<()> {
        let path = run.path();
        outln!(
            "\n{}: finished at step {}, {:.0} s of training",
            shown_path(path),
            self.step,
            self.seconds
        )?;
        let grid = run.samples().join(FINAL);
        if grid.is_file() {
            outln!("  images synthesised:            {}", shown_path(&grid))?;
            if let Ok(e) = run.experiment() {
                let classes = e.objective.chains == Chains::ByClass;
                let start = starts::words(From::Noise, &e.sampler.init, classes);
                outln!("  their chains start from:       {start}")?;
            }
        }
        outln!(
            "  training curves:               {}",
            shown_path(&path.join("curves.png"))
        )?;
        if let Some(c) = &self.classification {
            outln!(
                "\nclassification of {} test images: accuracy {:.2} %, NLL {:.4}, ECE {:.2} %",
                c.images,
                100.0 * c.accuracy,
                c.nll,
                100.0 * c.ece
            )?;
        }
        if let Some(ood) = &self.ood {
            outln!("\nout of distribution, by energy (test images against each set; 1 is perfect, 0.5 is chance)\n")?;
            outln!("{ood}")?;
        }
        Ok(())
    }
}

/// Images that chains of a run were drawn to.
pub struct Drawn {
    /// u8 `[N,C,H,W]`; class after class where chains have classes.
    pub images: Tensor,
    /// The name of each image's class; empty where chains have none.
    pub captions: Vec<String>,
}

/// `n` images synthesised from the run's initial distribution with the given weights.
///
/// The run's own streams are not touched; `step` hears of each step of the chains.
pub fn from_noise(network: &Network, trainer: &Trainer, n: i64, step: &mut dyn FnMut(u64)) -> Result<Drawn> {
    let e = trainer.experiment();
    let mut rng = Stream::new(e.seed, "report").derive(trainer.state().step);
    let target = target(network, trainer, n);
    let starts = trainer.starter().draw(n, target.first_classes(), &mut rng);
    let mut watch = |_: i64, k: usize, _: &Tensor| step(k as u64);
    let length = Length::of(e.sample_steps());
    let x = synthesize(network, e, &target, &starts, length, &mut rng, &mut watch)?;
    Ok(Drawn {
        images: data::to_u8(&x),
        captions: captions(&target, &trainer.data().train.classes),
    })
}

/// What `n` chains of the run's own kind move by.
fn target(network: &Network, trainer: &Trainer, n: i64) -> Target {
    match (trainer.experiment().objective.chains, network.classes()) {
        (Chains::ByClass, Some(classes)) => Target::Classes(ReplayBuffer::even_classes(n, classes, trainer.device())),
        _ => Target::Any,
    }
}

/// What `n` chains of the run's own kind start from, u8 `[n,C,H,W]`: the same draw every time.
pub fn starts(network: &Network, trainer: &Trainer, n: i64) -> Tensor {
    let mut rng = Stream::new(trainer.experiment().seed, "starts");
    let target = target(network, trainer, n);
    data::to_u8(&trainer.starter().draw(n, target.first_classes(), &mut rng))
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
        let mut judged = judge.judge_all(&[Score::LogPx], images, BATCH, &mut rng.clone())?;
        Ok(judged.scores.remove(0))
    };
    let inside = inside.sampled(e.evaluate.limit, e.seed)?;
    let source = OutlierSource {
        inside: &inside,
        other: wanted(e, trainer.device(), e.evaluate.limit, e.seed),
    };
    let row = |set: &OodSet| Ok((outliers::set_name(set), energies(&source.images(set, &rng)?)?));
    let sets = sets.iter().map(row).collect::<Result<Vec<_>>>()?;
    OodTable::new(&data::name(&e.data.dataset), &energies(&inside.pixels)?, &sets)
}

/// How other images are wanted for a run: brought to the model's shape by the rule of the run's own
/// data.
pub fn wanted(e: &Experiment, device: Device, limit: Option<usize>, seed: u64) -> Wanted<'_> {
    Wanted {
        root: &e.data.root,
        input: e.model.input,
        fit: e.data.dataset.rule(),
        device,
        limit,
        seed,
    }
}

/// The rule by which images of a set are fitted for a run, in words.
pub fn fit_words(e: &Experiment, dataset: &Dataset) -> String {
    let [_, h, w] = e.model.input;
    let own = &e.data.dataset;
    let (rule, whose) = match dataset.own_rule() {
        Some(rule) if dataset != own => (rule, "asked for by name"),
        _ => (own.rule(), "the run's own"),
    };
    format!("another size is brought to {h} x {w} by the rule `{rule}`, {whose}")
}

/// Refuses sets that a table would find missing, or unusable, only after training.
pub fn ensure_outside(e: &Experiment, device: Device) -> Result<()> {
    e.evaluate.ood.iter().try_for_each(|set| match set {
        OodSet::Data(d) => data::test_images(d, &wanted(e, device, e.evaluate.limit, e.seed)).map(drop),
        _ => Ok(()),
    })
}
