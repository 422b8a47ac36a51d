//! Where the chains of a command start.

use clap::ValueEnum;
use tch::{Device, Kind, Tensor};

use crate::buffer::ReplayBuffer;
use crate::config::InitialDistribution;
use crate::data;
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::sampling::Starter;
use crate::train::{RunDir, Trained};

/// Where chains start.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The distribution that fresh chains of the run start from
    Noise,
    /// The persistent chains of the checkpoint
    Buffer,
    /// Images of the training set
    Data,
}

/// The starts of `n` chains, `[n,C,H,W]`, f32, of `classes` `[n]` where these are asked for.
///
/// # Errors
/// When the data are not there, or the run keeps no chains, or too few.
pub fn starts(
    from: From,
    run: &RunDir,
    trained: &Trained,
    n: i64,
    classes: Option<&Tensor>,
    device: Device,
    rng: &mut Stream,
) -> Result<Tensor> {
    let e = &trained.experiment;
    let shape = e.model.input;
    let init = match from {
        From::Noise => e.sampler.init,
        From::Data => InitialDistribution::Data,
        From::Buffer => return buffered(run, trained, n, device, rng),
    };
    let images = match init.needs_data() {
        true => Some(data::open(&e.data, shape, device)?.train),
        false => None,
    };
    Ok(Starter::new(&init, shape, images.as_ref(), device)?.draw(n, classes, rng))
}

/// Distinct chains of the checkpoint's buffer.
fn buffered(run: &RunDir, trained: &Trained, n: i64, device: Device, rng: &mut Stream) -> Result<Tensor> {
    let place = run.path().display().to_string();
    let named = trained.buffer.as_ref().ok_or_else(|| {
        Error::input(
            &place,
            "the run keeps no persistent chains",
            "use --from noise or --from data",
        )
    })?;
    let e = &trained.experiment;
    let size = e.buffer.size as i64;
    if size < n {
        return Err(Error::input(
            place,
            format!("the buffer holds {size} chains, {n} were asked for"),
            "ask for fewer with -n",
        ));
    }
    let [c, h, w] = e.model.input;
    let empty = Tensor::zeros([size, c, h, w], (Kind::Float, device));
    let mut buffer = ReplayBuffer::new(&e.buffer, empty, rng);
    buffer.load_state(named, &place)?;
    Ok(buffer.peek(n, rng))
}
