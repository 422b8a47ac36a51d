//! `ebm sample RUN`: synthesises images from a trained run.

use std::path::PathBuf;

use super::chains;
use super::conditional::Conditional;
use super::model::Choice;
use super::status::Status;
use super::stdout::{self, outln};
use super::terminal::Terminal;
use crate::error::{Error, shown_path};
use crate::judging::{Drawing, Views};
use crate::report::ImageForm;
use crate::train::{ChainStart, RunDir};

/// The most images that are synthesised at once.
const MOST: i64 = 1_000_000;

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
    let form = ImageForm::of(&out)?;
    let (mut trained, _) = args.choice.load(&run)?;
    args.chains
        .apply(&mut trained.experiment, args.from == ChainStart::Noise)?;
    let request = args.conditional.request(&run, &trained, args.n)?;
    form.ensure_writable(&out, args.trace)?;
    if request.images > MOST {
        let what = format!("{} images were asked for, {MOST} are the most", request.images);
        return Err(Error::input("-n", what, "ask for fewer of each class").into());
    }
    let steps = args.steps.unwrap_or_else(|| trained.experiment.sample_steps());
    let drawing = Drawing {
        run: &run,
        trained: &trained,
        request: &request,
        from: args.from,
        length: args.chains.length(steps),
        film: args.trace,
        seed: args.seed,
    };
    let drawn = drawing.draw(&Terminal::default())?;
    form.write(&drawn.images, &request.captions(), request.columns, &out)?;
    let films = drawn.films(&out)?;
    let views = request.judge(&trained, &drawn.images)?;
    views.iter().try_for_each(|views| args.conditional.write(views))?;
    for path in std::iter::once(&out).chain(&films) {
        outln!("{}", shown_path(path))?;
    }
    stdout::text(&views.as_ref().map_or_else(String::new, Views::to_string))?;
    Ok(Status::Done)
}
