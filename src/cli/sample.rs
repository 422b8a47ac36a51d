//! `ebm sample RUN`: synthesises images from a trained run.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tch::{Device, Kind, Tensor};

use super::Status;
use super::model::Choice;
use super::progress::Progress;
use super::synthesis;
use crate::buffer::ReplayBuffer;
use crate::config::InitialDistribution;
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::sampling::Starter;
use crate::train::{RunDir, Trained};
use crate::{data, files, report};

/// The most images that are synthesised at once.
const MOST: i64 = 1_000_000;

/// The most frames that a film keeps.
const FRAMES: usize = 60;

/// The most columns of a strip.
const COLUMNS: usize = 12;

/// The most chains that a film shows.
const FILMED: i64 = 16;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run
    run: PathBuf,
    /// How many images
    #[arg(short, default_value_t = 64, value_parser = clap::value_parser!(i64).range(1..=MOST))]
    n: i64,
    /// Steps of the chains; report.sample_steps of the run unless given
    #[arg(long)]
    steps: Option<usize>,
    /// Where the chains start
    #[arg(long, value_enum, default_value_t = From::Noise)]
    from: From,
    /// NAME.png for a grid, NAME.npy for u8 [N,C,H,W], a folder for a file an image; RUN/samples/sample.png unless given
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also write the chains' film, as an animated GIF and a PNG strip beside the output
    #[arg(long)]
    trace: bool,
    /// Decides the starts and the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// The distribution that fresh chains of the run start from
    Noise,
    /// The persistent chains of the checkpoint
    Buffer,
    /// Images of the training set
    Data,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let out = args.out.clone().unwrap_or_else(|| run.samples().join("sample.png"));
    let form = Form::of(&out)?;
    let (trained, device) = args.choice.load(&run)?;
    let mut rng = Stream::new(args.seed, "sample");
    let starts = starts(args, &trained, device, &mut rng)?;
    let (images, frames) = chains(args, &trained, &starts, &mut rng);
    write(&images, form, &out)?;
    println!("{}", out.display());
    if args.trace {
        for path in film(&frames, &out)? {
            println!("{}", path.display());
        }
    }
    Ok(Status::Done)
}

fn starts(args: &Args, trained: &Trained, device: Device, rng: &mut Stream) -> Result<Tensor> {
    let e = &trained.experiment;
    let shape = e.model.input;
    let init = match args.from {
        From::Noise => e.sampler.init,
        From::Data => InitialDistribution::Data,
        From::Buffer => return buffered(args, trained, device, rng),
    };
    let images = match init.needs_data() {
        true => Some(data::open(&e.data, shape, device)?.train),
        false => None,
    };
    Ok(Starter::new(&init, shape, images.as_ref(), device)?.draw(args.n, None, rng))
}

/// Distinct chains of the checkpoint's buffer.
fn buffered(args: &Args, trained: &Trained, device: Device, rng: &mut Stream) -> Result<Tensor> {
    let place = args.run.display().to_string();
    let named = trained.buffer.as_ref().ok_or_else(|| {
        Error::input(
            &place,
            "the run keeps no persistent chains",
            "use --from noise or --from data",
        )
    })?;
    let e = &trained.experiment;
    let size = e.buffer.size as i64;
    if size < args.n {
        return Err(Error::input(
            place,
            format!("the buffer holds {size} chains, {} were asked for", args.n),
            "ask for fewer with -n",
        ));
    }
    let [c, h, w] = e.model.input;
    let empty = Tensor::zeros([size, c, h, w], (Kind::Float, device));
    let mut buffer = ReplayBuffer::new(&e.buffer, empty, rng);
    buffer.load_state(named, &place)?;
    Ok(buffer.peek(args.n, rng))
}

/// Runs the chains with a progress bar; returns u8 images, and the first chains' frames if they are filmed.
fn chains(args: &Args, trained: &Trained, starts: &Tensor, rng: &mut Stream) -> (Tensor, Vec<Tensor>) {
    let e = &trained.experiment;
    let steps = args.steps.unwrap_or_else(|| e.sample_steps());
    let progress = Progress::new(steps as u64, 0);
    let stride = steps.div_ceil(FRAMES).max(1);
    let mut frames = Vec::new();
    let mut watch = |first: i64, k: usize, x: &Tensor| {
        progress.at(k as u64);
        if args.trace && first == 0 && (k.is_multiple_of(stride) || k == steps) {
            frames.push(data::to_u8(&x.narrow(0, 0, x.size()[0].min(FILMED))));
        }
    };
    let x = synthesis::synthesize(&trained.network, &e.sampler, starts, steps, rng, &mut watch);
    progress.finish();
    (data::to_u8(&x), frames)
}

/// How images are written.
#[derive(Clone, Copy)]
enum Form {
    Grid,
    Npy,
    Folder,
}

impl Form {
    /// The form that the path's ending names; asked before the chains run, not after.
    fn of(out: &Path) -> Result<Self> {
        if out.is_dir() {
            return Ok(Form::Folder);
        }
        let other = match out.extension().and_then(|e| e.to_str()) {
            Some("png") => return Ok(Form::Grid),
            Some("npy") => return Ok(Form::Npy),
            None if !out.exists() => return Ok(Form::Folder),
            None => "into a file without an ending".into(),
            Some(other) => format!(".{other}"),
        };
        Err(Error::input(
            out.display(),
            format!("cannot write {other}"),
            "name a .png, a .npy, or a folder",
        ))
    }
}

/// Writes images in the form that was chosen, and the folder that they go into where it is missing.
fn write(images: &Tensor, form: Form, out: &Path) -> Result<()> {
    files::create_parent(out)?;
    match form {
        Form::Grid => report::grid(images, columns(images.size()[0]), out),
        Form::Npy => report::npy(images, out),
        Form::Folder => report::images_to_folder(images, out),
    }
}

/// The film beside the output: `NAME.film.gif` and `NAME.strip.png`.
fn film(frames: &[Tensor], out: &Path) -> Result<[PathBuf; 2]> {
    let paths = [out.with_extension("film.gif"), out.with_extension("strip.png")];
    let shown = frames.first().map_or(1, |f| f.size()[0]);
    report::film(frames, columns(shown), &paths[0])?;
    report::strip(frames, COLUMNS, &paths[1])?;
    Ok(paths)
}

/// Columns of a nearly square grid.
pub fn columns(n: i64) -> usize {
    (n as f64).sqrt().ceil().max(1.0) as usize
}
