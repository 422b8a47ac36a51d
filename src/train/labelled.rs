//! Labelled batches, drawn apart from the others: their order and their randomness are their own.

use tch::{Device, Tensor};

use crate::data::{self, Batches, ClassShares, DataSet};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::rng::Stream;
use crate::run::LabelledState;

/// Endless batches of the training images that count as labelled.
pub struct Labelled {
    /// Their indices among the training images, i64 `[m]`, on the device.
    indices: Tensor,
    batches: Batches,
    rng: Stream,
    /// The interval that the chains' kernel clamps to, if any.
    interval: Option<[f64; 2]>,
}

impl Labelled {
    /// Those of an experiment, for a network of so many classes.
    ///
    /// # Errors
    /// When the data have no labels, or not those that are asked for.
    pub fn new(e: &Experiment, data: &DataSet, classes: i64, device: Device) -> Result<Self> {
        let indices = data::labelled(&data.train, classes, e.data.labels_per_class, e.data.split_seed)?;
        let size = e.train.labelled_batch() as i64;
        let order = Stream::new(e.seed, "labelled-batches");
        Ok(Self {
            batches: Batches::new(indices.size()[0], size, order, device)?,
            indices: indices.to_device(device),
            rng: Stream::new(e.seed, "labelled"),
            interval: e
                .sampler
                .as_ref()
                .and_then(|s| s.kernel.build(s.n_steps).facts().interval),
        })
    }

    /// How often each of the network's classes is among them.
    pub fn shares(&self, data: &DataSet, classes: i64) -> Result<ClassShares> {
        ClassShares::of(&data.train, &self.indices, classes)
    }

    /// The next batch, augmented and with its noise: images f32 `[b,C,H,W]` and classes `[b]`.
    pub fn next(&mut self, e: &Experiment, data: &DataSet) -> [Tensor; 2] {
        let at = self.indices.index_select(0, &self.batches.next_indices());
        let changes = e.data.labelled_augment.as_ref().unwrap_or(&e.data.augment);
        let noise = e.data.labelled_noise.unwrap_or(e.data.noise);
        let x = data.train.augmented(&at, changes, &mut self.rng);
        let mut x = data::add_noise(&x, noise, &mut self.rng);
        // Where the chains of p(x,y) cannot go, labelled images do not go either.
        if let Some([low, high]) = self.interval {
            let _ = x.clamp_(low, high);
        }
        let labels = data.train.labels_at(&at).expect("checked to have labels");
        [x, labels]
    }

    /// What [`restore`](Self::restore) needs.
    pub fn state(&self) -> LabelledState {
        LabelledState {
            batches: self.batches.state(),
            stream: self.rng.clone(),
        }
    }

    /// Goes on where `state` was taken.
    ///
    /// # Errors
    /// The state is of another number of images.
    pub fn restore(&mut self, state: &LabelledState) -> Result<()> {
        self.batches.restore(&state.batches)?;
        self.rng = state.stream.clone();
        Ok(())
    }
}
