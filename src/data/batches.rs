//! Endless shuffled batches of indices, drawn on the device, that a saved state resumes bit for bit.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::rng::Stream;

/// Batches of indices, epoch by epoch without replacement.
///
/// A batch that an epoch's last images do not fill is filled up from the next epoch: no image is ever left out, every
/// batch is full, and a batch may be larger than the set. Only such a batch can hold an image twice.
/// The order of an epoch follows from the stream and the epoch's number alone.
#[derive(Debug)]
pub struct Batches {
    state: BatchesState,
    batch_size: i64,
    order: Tensor,
}

/// Where [`Batches`] stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchesState {
    stream: Stream,
    images: i64,
    epoch: u64,
    position: i64,
}

impl BatchesState {
    /// Whether batches can have come to it in so many `steps` of `batch_size` images each.
    ///
    /// # Errors
    /// Says what they never hold.
    pub fn check(&self, steps: u64, batch_size: usize) -> std::result::Result<(), String> {
        if self.images < 1 || !(0..=self.images).contains(&self.position) {
            return Err(format!("batches are at image {} of {}", self.position, self.images));
        }
        let drawn = u128::from(self.epoch) * self.images as u128 + self.position as u128;
        if drawn > u128::from(steps) * batch_size as u128 {
            return Err(format!(
                "batches have drawn {drawn} images, in {steps} steps of {batch_size}"
            ));
        }
        Ok(())
    }
}

impl Batches {
    /// Batches of `batch_size` of `images` images; the indices are made on `device`.
    ///
    /// # Errors
    /// There is no image.
    pub fn new(images: i64, batch_size: i64, stream: Stream, device: Device) -> Result<Self> {
        if images < 1 {
            return Err(Error::input(
                "training images",
                "there is none to make batches of",
                "give more images, or hold fewer out",
            ));
        }
        let state = BatchesState {
            stream,
            images,
            epoch: 0,
            position: 0,
        };
        let order = order(&state, device);
        Ok(Self {
            state,
            batch_size,
            order,
        })
    }

    /// Goes on where `state` was taken.
    ///
    /// # Errors
    /// The state is of another number of images; nothing is changed then.
    pub fn restore(&mut self, state: &BatchesState) -> Result<()> {
        let images = self.state.images;
        if state.images != images || !(0..=images).contains(&state.position) {
            return Err(Error::input(
                "training images",
                format!(
                    "the saved order is at {} of {} images, the set has {images}",
                    state.position, state.images
                ),
                "resume with the data that the run was started with",
            ));
        }
        self.state = state.clone();
        self.order = order(state, self.order.device());
        Ok(())
    }

    /// The next batch's indices, i64 `[batch_size]`, on the device.
    pub fn next_indices(&mut self) -> Tensor {
        let mut parts = Vec::with_capacity(2);
        let mut missing = self.batch_size;
        while missing > 0 {
            if self.state.position == self.state.images {
                self.state.epoch += 1;
                self.state.position = 0;
                self.order = order(&self.state, self.order.device());
            }
            let taken = missing.min(self.state.images - self.state.position);
            parts.push(self.order.narrow(0, self.state.position, taken));
            self.state.position += taken;
            missing -= taken;
        }
        match &parts[..] {
            [whole] => whole.shallow_clone(),
            _ => Tensor::cat(&parts, 0),
        }
    }

    /// How many epochs were finished before the last batch ended.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// What [`Batches::restore`] needs.
    pub fn state(&self) -> BatchesState {
        self.state.clone()
    }
}

fn order(state: &BatchesState, device: Device) -> Tensor {
    state.stream.derive(state.epoch).permutation(state.images, device)
}
