//! What a finished run shows: the final grid, the curves, how it classifies, and the
//! out-of-distribution table.

use serde::{Deserialize, Serialize};

use super::density;
use super::draws::from_noise;
use super::observer::{Making, Observer};
use super::tables;
use super::view::View;
use crate::error::Result;
use crate::eval::{Classification, OodTable};
use crate::report;
use crate::run::RunDir;

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
    /// The total-variation distance between the learned density and that of the data, from 0 to 1,
    /// where the data are points of a known density.
    #[serde(default)]
    pub total_variation: Option<f64>,
}

const FILE: &str = "results.json";

/// The grid of a finished run.
pub const FINAL: &str = "samples/final.png";

/// How many images it has at least.
pub const FINAL_IMAGES: usize = 100;

impl Results {
    /// The results of a run that finished at `step`.
    pub fn of(run: &RunDir, step: u64) -> Option<Self> {
        run.read_json::<Self>(FILE).filter(|r| r.step == step)
    }

    /// Makes the final pictures and tables of a run, and records them in its folder.
    ///
    /// # Errors
    /// When chains or energies are not finite, images cannot be read, or files not written.
    pub fn make(view: &View, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        let (e, model) = (view.experiment, view.averaged()?);
        if e.synthesises() || e.space().point().is_some() {
            let (n, of) = (e.report.images.max(FINAL_IMAGES) as i64, e.sample_steps() as u64);
            observer.making(&Making::Images { step: 0, of });
            // Every batch of chains begins at 0; the observer has heard of that.
            let mut watch = |step: u64| {
                if step > 0 {
                    observer.making(&Making::Images { step, of })
                }
            };
            match e.space().image() {
                None => density::of_run(view, &run.file(FINAL)?, &mut watch)?,
                Some(_) => {
                    let drawn = from_noise(&*model, view, n, &mut watch)?;
                    report::sheet(&drawn.images(), &drawn.captions, report::columns(n), &run.file(FINAL)?)?;
                }
            }
        }
        report::curves(&run.metrics(), &run.file("curves.png")?)?;
        let test = &view.data.test.sampled(e.evaluate.limit, e.seed)?;
        let classification = match e.uses_labels() {
            true => tables::classification(&*model, test)?,
            false => None,
        };
        let ood = match e.evaluate.ood.is_empty() {
            true => None,
            false => {
                observer.making(&Making::Energies);
                Some(tables::ood_table(&*model, view, test, &e.evaluate.ood)?)
            }
        };
        let results = Self {
            step: view.state.step,
            seconds: view.state.seconds,
            classification,
            ood,
            total_variation: density::distance(view, &*model)?,
        };
        run.write_json(FILE, &results)?;
        Ok(results)
    }
}
