//! `ebm sample RUN`: synthesises images from a trained run.

use std::path::{Path, PathBuf};

use tch::Tensor;

use super::chains;
use super::conditional::{Conditional, Request};
use super::model::Choice;
use super::progress::Progress;
use super::status::Status;
use super::stdout::{self, outln};
use crate::error::{Error, Result, shown_path};
use crate::experiment::memory;
use crate::files::ensure_writable;
use crate::rng::Stream;
use crate::sampling::{self, Length, Target};
use crate::train::{ChainStart, starts};
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
    /// How many images; 64 unless given, 8 of a class with --classes and --interpolate
    #[arg(short, value_parser = clap::value_parser!(i64).range(1..=MOST))]
    n: Option<i64>,
    /// Steps of the chains; report.sample_steps of the run unless given
    #[arg(long)]
    steps: Option<usize>,
    /// Where the chains start
    #[arg(long, value_enum, default_value_t = ChainStart::Noise)]
    from: ChainStart,
    /// NAME.png for a grid, NAME.npy for u8 [N,C,H,W], a folder for a file an image; a pipe or
    /// device of another name gets the grid; RUN/samples/sample.png unless given
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also write the chains' film, as an animated GIF and a PNG strip beside the output; the
    /// strip's columns are spaced by the logarithm of the step, for chains move most at their
    /// beginning
    #[arg(long)]
    trace: bool,
    /// Decides the starts and the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    chains: chains::Options,
    #[command(flatten)]
    conditional: Conditional,
    #[command(flatten)]
    choice: Choice,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let run = RunDir::open(&args.run)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => run.file("samples/sample.png")?,
    };
    let form = Form::of(&out)?;
    let (mut trained, device) = args.choice.load(&run)?;
    args.chains
        .apply(&mut trained.experiment, args.from == ChainStart::Noise)?;
    let request = args.conditional.request(&run, &trained, args.n, device)?;
    form.ensure_writable(&out, args)?;
    if request.images > MOST {
        let what = format!("{} images were asked for, {MOST} are the most", request.images);
        return Err(Error::input("-n", what, "ask for fewer of each class").into());
    }
    memory::ensure_images("-n", request.images, trained.experiment.model.input, device)?;
    let mut rng = Stream::new(args.seed, "sample");
    let classes = request.target.first_classes();
    let starts = starts(args.from, &run, &trained, request.images, classes, &mut rng)?;
    let (images, frames) = chains(args, &trained, &request.target, &starts, &mut rng)?;
    write(&images, &request, form, &out)?;
    let reels = Reel::of(args, &request.target, length(args, &trained));
    let films = films(&reels, &frames, &out)?;
    let views = request.judge(&trained, &images)?;
    for path in std::iter::once(&out).chain(&films) {
        outln!("{}", shown_path(path))?;
    }
    stdout::text(&views)?;
    Ok(Status::Done)
}

/// Runs the chains with a progress bar; returns u8 images, and the first chains' frames that films are made of, each
/// with the step after which it was taken.
fn chains(
    args: &Args,
    trained: &Trained,
    target: &Target,
    starts: &Tensor,
    rng: &mut Stream,
) -> Result<(Tensor, Vec<(usize, Tensor)>)> {
    let e = &trained.experiment;
    let length = length(args, trained);
    let progress = Progress::new(length.whole() as u64, 0);
    let wanted = Reel::of(args, target, length);
    let mut frames = Vec::new();
    let mut watch = |first: i64, k: usize, x: &Tensor| {
        progress.at(k as u64);
        if first == 0 && wanted.iter().any(|reel| reel.takes(k)) {
            frames.push((k, data::to_u8(&x.narrow(0, 0, x.size()[0].min(FILMED)))));
        }
    };
    let x = e
        .synthesis(&trained.network)
        .run(target, starts, length, rng, &mut watch)?;
    progress.finish();
    Ok((data::to_u8(&x), frames))
}

fn length(args: &Args, trained: &Trained) -> Length {
    let steps = args.steps.unwrap_or_else(|| trained.experiment.sample_steps());
    args.chains.length(steps)
}

/// After which steps of a chain a frame is taken for one file.
struct Reel {
    ends: Ends,
    /// In their order.
    steps: Vec<usize>,
}

/// What a reel is for.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// The film of whole chains.
    Film,
    /// The strip of whole chains.
    Strip,
    /// The way from one class to another.
    Interpolation,
}

impl Ends {
    /// Of the file beside the output.
    fn ending(self) -> &'static str {
        match self {
            Self::Film => "film.gif",
            Self::Strip => "strip.png",
            Self::Interpolation => "interpolation.png",
        }
    }
}

impl Reel {
    /// The steps in words.
    fn captions(&self) -> Vec<String> {
        self.steps.iter().map(|k| format!("step {k}")).collect()
    }

    /// The reels that the options ask for.
    fn of(args: &Args, target: &Target, length: Length) -> Vec<Self> {
        let reel = |ends, steps| Self { ends, steps };
        let last = length.whole();
        let film = args.trace.then(|| reel(Ends::Film, evenly(0, last, FRAMES)));
        let strip = args.trace.then(|| reel(Ends::Strip, by_logarithm(last, COLUMNS)));
        let between = matches!(target, Target::Between { .. });
        let half = sampling::halfway(length.steps);
        let way = between.then(|| reel(Ends::Interpolation, evenly(half, last, COLUMNS - 1)));
        film.into_iter().chain(strip).chain(way).collect()
    }

    fn takes(&self, k: usize) -> bool {
        self.steps.binary_search(&k).is_ok()
    }

    fn select(&self, frames: &[(usize, Tensor)]) -> Vec<Tensor> {
        let own = frames.iter().filter(|(k, _)| self.takes(*k));
        own.map(|(_, frame)| frame.shallow_clone()).collect()
    }
}

/// Steps at even distances, the first and the last among them, `most` distances at most.
fn evenly(first: usize, last: usize, most: usize) -> Vec<usize> {
    let stride = (last - first).div_ceil(most).max(1);
    let steps = (first..last).step_by(stride);
    steps.chain([last]).collect()
}

/// The start, and steps up to the last at distances that grow in proportion, `most` in all at most.
fn by_logarithm(last: usize, most: usize) -> Vec<usize> {
    let mut steps = vec![0];
    for i in 0..most - 1 {
        let share = i as f64 / (most - 2) as f64;
        let even = (last as f64).powf(share).round() as usize;
        let next = even.max(steps[i] + 1);
        if next > last {
            break;
        }
        steps.push(next);
    }
    steps
}

/// How images are written.
#[derive(Clone, Copy)]
enum Form {
    Grid,
    Npy,
    Folder,
    /// A grid into a pipe or device that has no ending, such as /dev/stdout.
    Stream,
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
            None if files::is_stream(out) => return Ok(Form::Stream),
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

impl Form {
    /// Refuses, before the chains run, what could not be written after them.
    fn ensure_writable(self, out: &Path, args: &Args) -> Result<()> {
        match self {
            Form::Folder => Ok(()),
            Form::Stream if args.trace => Err(Error::file(
                out,
                "has no place beside it for the film that --trace asks for",
                "name a .png, a .npy, or a folder",
            )),
            _ => ensure_writable(out),
        }
    }
}

/// Writes images in the form that was chosen, and the folder that they go into where it is missing.
fn write(images: &Tensor, request: &Request, form: Form, out: &Path) -> Result<()> {
    files::create_parent(out)?;
    let wide = request.columns.unwrap_or_else(|| report::columns(images.size()[0]));
    match form {
        Form::Grid | Form::Stream => report::sheet(images, &request.captions(), wide, out),
        Form::Npy => report::npy(images, out),
        Form::Folder => report::images_to_folder(images, out),
    }
}

/// What the frames are made into, beside the output: with --trace `NAME.film.gif` and
/// `NAME.strip.png` of the whole chains, the strip's columns at the steps that are written beneath
/// them, and `NAME.interpolation.png` of their second half where they go from one class to another.
fn films(reels: &[Reel], frames: &[(usize, Tensor)], out: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for reel in reels {
        let own = reel.select(frames);
        let path = out.with_extension(reel.ends.ending());
        match reel.ends {
            Ends::Film => report::film(&own, report::columns(own.first().map_or(1, |f| f.size()[0])), &path)?,
            Ends::Strip => report::strip(&own, &reel.captions(), &path)?,
            Ends::Interpolation => report::strip(&own, &[], &path)?,
        }
        paths.push(path);
    }
    Ok(paths)
}
