//! States that a run synthesises to be looked at, and what their chains start from.

use tch::Tensor;

use super::view::View;
use crate::data;
use crate::error::Result;
use crate::models::Model;
use crate::rng::Stream;
use crate::sampling::replay::ReplayBuffer;
use crate::sampling::{ChainClasses, Length, Target, captions};

/// States that chains of a run were drawn to.
pub struct Drawn {
    /// f32 `[N,..]`; class after class where chains have classes.
    pub states: Tensor,
    /// The name of each state's class; empty where chains have none.
    pub captions: Vec<String>,
}

impl Drawn {
    /// u8 `[N,C,H,W]` of states that are images.
    pub fn images(&self) -> Tensor {
        data::to_u8(&self.states)
    }
}

/// `n` states synthesised from the run's initial distribution with the given weights.
///
/// The run's own streams are not touched; `step` hears of each step of the chains.
pub fn from_noise(model: &dyn Model, view: &View, n: i64, step: &mut dyn FnMut(u64)) -> Result<Drawn> {
    let e = view.experiment;
    let mut rng = Stream::new(e.seed, "report").derive(view.state.step);
    let target = target(model, view, n);
    let starts = view.starts(n, target.first_classes(), &mut rng)?;
    let mut watch = |_: i64, k: usize, _: &Tensor| step(k as u64);
    let length = Length::of(e.sample_steps());
    let states = e
        .synthesis(model)?
        .run(&target, &starts, length, &mut rng, &mut watch)?;
    Ok(Drawn {
        states,
        captions: captions(&target, &view.data.train.classes),
    })
}

/// What `n` chains of the run's own kind move by.
fn target(model: &dyn Model, view: &View, n: i64) -> Target {
    match (view.experiment.chain_classes(), model.classes()) {
        (ChainClasses::Kept, Some(classes)) => Target::Classes(ReplayBuffer::even_classes(n, classes, view.device)),
        _ => Target::Any,
    }
}

/// What `n` chains of the run's own kind start from, u8 `[n,C,H,W]`: the same random numbers every
/// time.
pub fn starts(model: &dyn Model, view: &View, n: i64) -> Result<Tensor> {
    let mut rng = Stream::new(view.experiment.seed, "starts");
    let target = target(model, view, n);
    Ok(data::to_u8(&view.starts(n, target.first_classes(), &mut rng)?))
}
