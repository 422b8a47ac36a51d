//! Where chains on a trained run start.

use tch::{Device, Kind, Tensor};

use crate::data::Images;
use crate::error::{Error, Result};
use crate::eval;
use crate::experiment::{Experiment, memory};
use crate::models::Form;
use crate::objective::Generator;
use crate::rng::Stream;
use crate::run::{RunDir, Trained, own_data};
use crate::sampling::replay::ReplayBuffer;
use crate::sampling::{ChainClasses, InitialDistribution, Starter};

/// Chains whose classes are looked at together.
const BATCH: usize = 500;

/// Where chains start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainStart {
    /// The distribution that fresh chains of the run start from.
    Noise,
    /// The persistent chains of the checkpoint.
    Buffer,
    /// Images of the training set.
    Data,
}

/// The starts of `n` chains, `[n,C,H,W]`, f32; `classes` `[n]` are those that they are to be of, if any.
///
/// A buffer gives chains of these classes where the run's chains have classes; class Gaussians
/// start chains as them; any other start knows of none.
///
/// # Errors
/// When the data are not there, or the run keeps no chains, or too few.
pub fn starts(
    from: ChainStart,
    run: &RunDir,
    trained: &Trained,
    n: i64,
    classes: Option<&Tensor>,
    rng: &mut Stream,
) -> Result<Tensor> {
    let e = &trained.experiment;
    let (space, device) = (e.space(), trained.model.device());
    let init = match from {
        ChainStart::Noise if e.objective.asks().generator => return Ok(generator(run, trained)?.draw(n, rng)),
        ChainStart::Noise => e.init(),
        ChainStart::Data => InitialDistribution::Data,
        ChainStart::Buffer => {
            let buffer = buffer(run, trained, rng)?;
            let kept = e.chain_classes() != ChainClasses::None;
            return match classes.filter(|_| kept) {
                Some(wanted) => of_classes(buffer, trained, wanted, rng),
                None => {
                    ensure(buffer.len(), n, run)?;
                    Ok(buffer.peek(n, rng))
                }
            };
        }
    };
    let images = match init.needs_data() {
        true => Some(training_images(run, trained)?),
        false => None,
    };
    Ok(Starter::new(&init, &space, images.as_ref(), device)?.draw(n, classes, rng))
}

/// The generator that the run's chains start from.
fn generator<'a>(run: &RunDir, trained: &'a Trained) -> Result<&'a Generator> {
    trained.generator.as_ref().ok_or_else(|| {
        Error::input(
            run.path().display(),
            "its weights were trained elsewhere, and came without the generator that chains of `objective.cooperative` start from",
            "start them elsewhere: --init '{uniform: [-1, 1]}'",
        )
    })
}

/// The images that the run was trained on.
fn training_images(run: &RunDir, trained: &Trained) -> Result<Images> {
    let data = own_data::open(run, &trained.experiment, trained.model.device())?;
    own_data::ensure_same_limit(run, &data.record)?;
    Ok(data.train)
}

/// What chains start from, in words; `classes` says whether they are of classes from the start.
pub fn start_words(from: ChainStart, e: &Experiment, classes: bool) -> String {
    let (number, states) = match e.space().image() {
        Some(_) => ("pixel", "images"),
        None => ("number", "points"),
    };
    let init = match from {
        ChainStart::Noise if e.objective.asks().generator => return "draws of the run's generator".into(),
        ChainStart::Noise => e.init(),
        ChainStart::Data => InitialDistribution::Data,
        ChainStart::Buffer => return "persistent chains of the checkpoint's buffer".into(),
    };
    match init {
        InitialDistribution::Uniform(low, high) => format!("noise, every {number} uniform in [{low}, {high}]"),
        InitialDistribution::Gaussian { mean, std } => format!("noise, every {number} N({mean}, {std}^2)"),
        InitialDistribution::Data => format!("training {states}"),
        InitialDistribution::NoisyData { std } => format!("training {states} with noise N(0, {std}^2)"),
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
    memory::ensure_buffer(e, &run.resolved(), trained.model.device())?;
    let size = e.space().batch(e.buffer.size as i64);
    let empty = Tensor::zeros(&size[..], (Kind::Float, trained.model.device()));
    // The sampler may be another one than that of training.
    let replicas = ReplayBuffer::saved_replicas(named);
    let mut buffer = ReplayBuffer::new(&e.buffer, empty, rng).with_replicas(replicas);
    if let (ChainClasses::Kept, Some(count)) = (e.chain_classes(), trained.model.classes()) {
        let before_loading = ReplayBuffer::even_classes(buffer.len(), count, trained.model.device());
        buffer = buffer.by_class(before_loading, count)?;
    }
    buffer.load_state(named, &place)?;
    Ok(buffer)
}

fn ensure(size: i64, n: i64, run: &RunDir) -> Result<()> {
    if n <= size {
        return Ok(());
    }
    Err(Error::input(
        run.path().display(),
        format!("the buffer holds {size} chains, {n} were asked for"),
        "ask for fewer with -n",
    ))
}

/// Different chains of the classes `wanted` `[n]`, in this order: of the classes that slots keep
/// to, or of those that the network sees in chains that draw their class.
fn of_classes(buffer: ReplayBuffer, trained: &Trained, wanted: &Tensor, rng: &mut Stream) -> Result<Tensor> {
    let wanted = Vec::<i64>::try_from(wanted.to_device(Device::Cpu))?;
    if trained.experiment.chain_classes() == ChainClasses::Kept {
        return buffer.peek_of_classes(&wanted, rng);
    }
    let frozen = trained.model.freeze(Form::plain(1.0));
    let logits = eval::outputs(&|x| Ok(frozen.raw(x)), &buffer.all(), BATCH)?;
    let count = trained.model.classes().expect("checked to have classes");
    let buffer = buffer.by_class(logits.argmax(1, false), count)?;
    buffer.peek_of_classes(&wanted, rng)
}
