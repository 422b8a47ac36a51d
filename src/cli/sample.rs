//! `ebm sample RUN`: synthesises images from a trained run.

use std::path::PathBuf;

use super::chains;
use super::conditional::Conditional;
use super::model::Choice;
use super::status::Status;
use super::stdout::{self, outln};
use super::terminal::Terminal;
use crate::error::{Error, Result, shown_path};
use crate::judging::{Drawing, Views};
use crate::report::ImageForm;
use crate::run::{RunDir, Trained};
use crate::sampling::diagnostics::Diagnostics;
use crate::train::{ChainStart, ensure_plane};

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
    /// device of another name gets the grid; of points NAME.png for a heat map, NAME.npy for f32
    /// [N,D]; RUN/samples/sample.png unless given
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also write the chains' film, as an animated GIF and a PNG strip beside the output; the
    /// strip's columns are spaced by the logarithm of the step, for chains move most at their
    /// beginning
    #[arg(long)]
    trace: bool,
    /// Also say how well the chains have mixed (of 250 at most): effective sample sizes, R-hat and
    /// acceptance as a table, and draw their traces and autocorrelation as NAME.traces.png beside
    /// the output
    #[arg(long)]
    diagnostics: bool,
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
    form.ensure_writable(&out, args.trace || args.diagnostics)?;
    if trained.experiment.space().image().is_none() {
        ensure_points(&trained, form, args)?;
    }
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
        diagnostics: args.diagnostics,
        seed: args.seed,
    };
    let drawn = drawing.draw(&Terminal::default())?;
    let mut beside = drawn.films(&out)?;
    let mut views = None;
    if trained.experiment.space().image().is_some() {
        let images = drawn.images();
        form.write(&images, &request.captions(), request.columns, &out)?;
        views = request.judge(&trained, &images)?;
    } else {
        drawn.write_points(&run, &trained, &out)?;
    }
    views.iter().try_for_each(|views| args.conditional.write(views))?;
    if let Some(found) = &drawn.diagnostics {
        let traces = out.with_extension("traces.png");
        found.draw(&trained.experiment.name, &traces)?;
        beside.push(traces);
    }
    for path in std::iter::once(&out).chain(&beside) {
        outln!("{}", shown_path(path))?;
    }
    stdout::text(&views.as_ref().map_or_else(String::new, Views::to_string))?;
    stdout::text(
        &drawn
            .diagnostics
            .as_ref()
            .map_or_else(String::new, Diagnostics::to_string),
    )?;
    Ok(Status::Done)
}

/// Refuses what is of pictures alone, of a run whose states are points.
fn ensure_points(trained: &Trained, form: ImageForm, args: &Args) -> Result<()> {
    let refused = match (args.trace, form) {
        (true, _) => (
            "--trace".to_owned(),
            "films pictures, and the states of this run are points",
        ),
        (_, ImageForm::Folder) => (
            shown_path(&args.out.clone().unwrap_or_default()).to_string(),
            "a folder holds a file a picture, and the states of this run are points",
        ),
        (_, ImageForm::Npy) => return Ok(()),
        (_, ImageForm::Grid | ImageForm::Stream) => return ensure_plane(&trained.experiment),
    };
    Err(Error::input(
        refused.0,
        refused.1,
        "write a heat map as NAME.png, or the points as NAME.npy",
    ))
}
