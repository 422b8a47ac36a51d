//! A run between two steps, as it is seen by what measures and draws.

use tch::{Device, Tensor};

use super::state::State;
use crate::data::DataSet;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::models::Model;
use crate::rng::Stream;
use crate::sampling::Starter;

/// What a run consists of at this moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The configuration.
    pub experiment: &'a Experiment,
    /// The images.
    pub data: &'a DataSet,
    /// Where fresh chains come from.
    pub starter: &'a Starter,
    /// Everything that changes from step to step.
    pub state: &'a State,
    /// Where tensors live.
    pub device: Device,
}

impl View<'_> {
    /// The model with its averaged weights, where an average is kept.
    pub fn averaged(&self) -> Result<Box<dyn Model>> {
        self.state.averaged(self.device)
    }

    /// `n` states that fresh chains start from, `[n,..]`: of the generator with its averaged weights
    /// where a term has one, else of the sampler's distribution; `classes` as in [`Starter::draw`].
    pub fn starts(&self, n: i64, classes: Option<&Tensor>, rng: &mut Stream) -> Result<Tensor> {
        let generator = self.state.averaged_generator(self.experiment, self.device)?;
        Ok(match generator {
            Some(generator) => generator.draw(n, rng),
            None => self.starter.draw(n, classes, rng),
        })
    }
}
