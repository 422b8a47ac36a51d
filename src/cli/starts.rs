//! Where the chains of a command start.

use clap::ValueEnum;
use tch::{Device, Kind, Tensor};

use crate::buffer::ReplayBuffer;
use crate::config::{Chains, InitialDistribution};
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

/// The starts of `n` chains, `[n,C,H,W]`, f32; `classes` `[n]` are those that they are to be of, if any.
///
/// A buffer whose slots belong to classes gives chains of these classes; class Gaussians start chains as them; any other start knows of none.
///
/// # Errors
/// When the data are not there, or the run keeps no chains, or too few.
pub fn starts(
    from: From,
    run: &RunDir,
    trained: &Trained,
    n: i64,
    classes: Option<&Tensor>,
    rng: &mut Stream,
) -> Result<Tensor> {
    let e = &trained.experiment;
    let (shape, device) = (e.model.input, trained.network.device());
    let init = match from {
        From::Noise => e.sampler.init,
        From::Data => InitialDistribution::Data,
        From::Buffer => {
            let buffer = buffer(run, trained, rng)?;
            let classes = classes.filter(|_| e.objective.chains == Chains::ByClass);
            return match (classes, trained.network.classes()) {
                (Some(wanted), Some(count)) => of_classes(&buffer, wanted, count, run, rng),
                _ => {
                    ensure(buffer.len(), n, "", run)?;
                    Ok(buffer.peek(n, rng))
                }
            };
        }
    };
    let images = match init.needs_data() {
        true => Some(data::open(&e.data, shape, device)?.train),
        false => None,
    };
    Ok(Starter::new(&init, shape, images.as_ref(), device)?.draw(n, classes, rng))
}

/// What chains start from, in words; `classes` says whether they are of classes from the start.
pub fn words(from: From, init: &InitialDistribution, classes: bool) -> String {
    let init = match from {
        From::Noise => *init,
        From::Data => InitialDistribution::Data,
        From::Buffer => return "persistent chains of the checkpoint's buffer".into(),
    };
    match init {
        InitialDistribution::Uniform(low, high) => format!("noise, every pixel uniform in [{low}, {high}]"),
        InitialDistribution::Gaussian { mean, std } => format!("noise, every pixel N({mean}, {std}^2)"),
        InitialDistribution::Data => "training images".into(),
        InitialDistribution::NoisyData { std } => format!("training images with noise N(0, {std}^2)"),
        InitialDistribution::ClassGaussians { jitter } => {
            let whose = if classes { "the chain's class" } else { "a random class" };
            format!("a Gaussian fitted to the training images of {whose} (jitter {jitter})")
        }
    }
}

/// The checkpoint's buffer.
fn buffer(run: &RunDir, trained: &Trained, rng: &mut Stream) -> Result<ReplayBuffer> {
    let place = run.path().display().to_string();
    let named = trained.buffer.as_ref().ok_or_else(|| {
        Error::input(
            &place,
            "the run keeps no persistent chains",
            "use --from noise or --from data",
        )
    })?;
    let e = &trained.experiment;
    let [c, h, w] = e.model.input;
    let empty = Tensor::zeros([e.buffer.size as i64, c, h, w], (Kind::Float, trained.network.device()));
    let mut buffer = ReplayBuffer::new(&e.buffer, empty, rng);
    buffer.load_state(named, &place)?;
    Ok(buffer)
}

fn ensure(size: i64, n: i64, of: &str, run: &RunDir) -> Result<()> {
    if n <= size {
        return Ok(());
    }
    Err(Error::input(
        run.path().display(),
        format!("the buffer holds {size} chains{of}, {n} were asked for"),
        "ask for fewer with -n",
    ))
}

/// Different chains of the classes `wanted` `[n]`, in this order, from a buffer whose slots belong to `count` classes.
fn of_classes(buffer: &ReplayBuffer, wanted: &Tensor, count: i64, run: &RunDir, rng: &mut Stream) -> Result<Tensor> {
    let mut taken = vec![0; count as usize];
    let ranked: Vec<(i64, i64)> = Vec::<i64>::try_from(wanted.to_device(Device::Cpu))?
        .into_iter()
        .map(|class| {
            taken[class as usize] += 1;
            (class, taken[class as usize] - 1)
        })
        .collect();
    let most = taken.into_iter().max().unwrap_or(0);
    ensure(buffer.len() / count, most, " of a class", run)?;
    let chains = buffer.peek_by_class(most, count, rng);
    let rows: Vec<i64> = ranked.into_iter().map(|(class, rank)| class * most + rank).collect();
    Ok(chains.index_select(0, &Tensor::from_slice(&rows).to_device(chains.device())))
}
