//! How a run's model classifies images, and what it tells apart by their energies.

use tch::{Device, Tensor};

use super::view::View;
use crate::data::Dataset;
use crate::data::{self, Images, Wanted};
use crate::error::Result;
use crate::eval::OodSet;
use crate::eval::outliers::{self, OutlierSource};
use crate::eval::{self, Classification, Classifications, Judge, OodTable, Score};
use crate::experiment::Experiment;
use crate::models::{Form, Model, score_form};
use crate::rng::Stream;

/// Images whose energies are computed together.
const BATCH: usize = 500;

/// How labelled images are classified; none where they have no labels.
pub fn classification(model: &dyn Model, images: &Images) -> Result<Option<Classification>> {
    let labels = images.labels.as_ref().filter(|_| !images.is_empty());
    let (Some(classes), Some(labels)) = (model.classes(), labels) else {
        return Ok(None);
    };
    let frozen = model.freeze(Form::plain(1.0));
    let mut seen = Classifications::new(classes as usize);
    seen.add(&eval::outputs(&|x| Ok(frozen.raw(x)), &images.pixels, BATCH)?, labels)?;
    seen.finish().map(Some)
}

/// AUROC of the energy between `inside` and each of `sets`.
pub fn ood_table(model: &dyn Model, view: &View, inside: &Images, sets: &[OodSet]) -> Result<OodTable> {
    let e = view.experiment;
    let frozen = model.freeze(score_form(&e.compute, e.temperature()));
    let judge = Judge::new(frozen.outputs());
    let rng = Stream::new(e.seed, "ood");
    let energies = |images: &Tensor| -> Result<Tensor> {
        let mut judged = judge.judge_all(&[Score::LogPx], images, BATCH, &mut rng.clone())?;
        Ok(judged.scores.remove(0))
    };
    let inside = inside.sampled(e.evaluate.limit, e.seed)?;
    let source = OutlierSource {
        inside: &inside,
        other: wanted(e, view.device, e.evaluate.limit, e.seed),
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
        input: image_of(e),
        fit: e.data.dataset.rule(),
        device,
        limit,
        seed,
    }
}

/// The shape of a model's images; of points, which no set is fitted to, that of nothing.
fn image_of(e: &Experiment) -> [i64; 3] {
    e.space().image().unwrap_or([0; 3])
}

/// The rule by which images of a set are fitted for a run, in words.
pub fn fit_words(e: &Experiment, dataset: &Dataset) -> String {
    let [_, h, w] = image_of(e);
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
