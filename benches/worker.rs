//! Our side of `make bench-peers`: reads a request a line from stdin, does the work as the program does it, and answers
//! with a line of JSON: the seconds it took, or what went wrong. `benches/peers/compare.py` asks.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ebm::config::yaml;
use ebm::data;
use ebm::experiment::{Experiment, TrainPrecision, legacy};
use ebm::models::{ComputeConfig, FrozenModel, Layout, ModelConfig, Precision, chain_form, resolve_auto};
use ebm::nn::Mode;
use ebm::rng::Stream;
use ebm::run::RunDir;
use ebm::sampling::{ChainRunner, CudaGraph, Kernel, SamplerConfig, Starter};
use ebm::train::{State, Trainer};
use ebm::{ffi, files, process};
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Tensor};

/// What may be asked for.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Request {
    /// Builds what a chain needs; nothing of it is timed.
    PrepareChain(Box<ChainRequest>),
    /// Runs the prepared chain from its start so many times; the last end goes into a file, under the name `x`.
    RunChain { times: usize, end: Option<PathBuf> },
    /// Builds a trainer, the experiment's own.
    PrepareTraining { experiment: PathBuf, run: PathBuf },
    /// Makes so many steps of training.
    Train { times: usize },
}

/// A network and the chain that runs on it.
#[derive(Deserialize)]
struct ChainRequest {
    /// An architecture file.
    model: PathBuf,
    /// Its weights, safetensors.
    weights: PathBuf,
    /// Where the chains start: the tensor `x` of a safetensors file, `[B,C,H,W]`, f32.
    start: PathBuf,
    /// The numbers of plain Langevin chains, as all peers take them, with `n_steps` and `precision`.
    sampler: serde_json::Value,
    threads: i32,
    device: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Prepared(Form),
    Done { seconds: f64 },
    Failed { error: String },
}

/// What was chosen, or asked for by name.
#[derive(Clone, Copy, Serialize)]
struct Form {
    precision: Precision,
    layout: Layout,
}

impl Form {
    fn of(compute: &ComputeConfig) -> Self {
        Self {
            precision: compute.precision,
            layout: compute.layout,
        }
    }
}

fn main() -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        println!("this program answers the requests of benches/peers/compare.py: run `make bench-peers`");
        return Ok(());
    }
    // As the program does, before the first tensor.
    process::tune();
    let mut worker = Worker::default();
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(anyhow::Error::from)
            .and_then(|request| worker.answer(request))
            .unwrap_or_else(|error| Answer::Failed {
                error: format!("{error:#}"),
            });
        println!("{}", serde_json::to_string(&answer)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What was prepared last.
#[derive(Default)]
struct Worker {
    chain: Option<Chain>,
    trainer: Option<Trainer>,
}

impl Worker {
    fn answer(&mut self, request: Request) -> anyhow::Result<Answer> {
        let unprepared = || anyhow::anyhow!("nothing was prepared for this request");
        Ok(match request {
            Request::PrepareChain(request) => {
                let chain = Chain::new(*request)?;
                let form = chain.form;
                self.chain = Some(chain);
                Answer::Prepared(form)
            }
            Request::RunChain { times, end } => {
                let chain = self.chain.as_mut().ok_or_else(unprepared)?;
                let clock = Instant::now();
                let mut x = chain.run();
                (1..times).for_each(|_| x = chain.run());
                synchronise(x.device());
                let seconds = clock.elapsed().as_secs_f64();
                if let Some(path) = end {
                    std::fs::write(path, files::encode(&[("x".into(), x)].into())?)?;
                }
                Answer::Done { seconds }
            }
            Request::PrepareTraining { experiment, run } => {
                let trainer = self.trainer.insert(trainer(&experiment, &run)?);
                Answer::Prepared(Form::of(&trainer.experiment().compute))
            }
            Request::Train { times } => {
                let trainer = self.trainer.as_mut().ok_or_else(unprepared)?;
                let clock = Instant::now();
                (0..times).try_for_each(|_| trainer.step())?;
                synchronise(trainer.device());
                Answer::Done {
                    seconds: clock.elapsed().as_secs_f64(),
                }
            }
        })
    }
}

/// A chain as `ebm sample` and a training step run it.
struct Chain {
    kernel: Box<dyn Kernel>,
    frozen: Box<dyn FrozenModel>,
    runner: ChainRunner,
    form: Form,
    start: Tensor,
    steps: usize,
    rng: Stream,
}

impl Chain {
    fn new(request: ChainRequest) -> anyhow::Result<Self> {
        let (sampler, mut compute) = sections(request.sampler)?;
        let device = device(&request.device)?;
        tch::set_num_threads(request.threads);
        ffi::set_tf32(false);
        let model: ModelConfig = yaml::load(&request.model)?;
        let model = model.build(device, &mut Stream::new(0, "init"))?;
        model.load(&files::read(&request.weights)?, &request.weights.display().to_string())?;
        let start = files::read(&request.start)?.remove("x");
        let start = start.ok_or_else(|| anyhow::anyhow!("{}: has no tensor `x`", request.start.display()))?;
        resolve_auto(&mut compute, Mode::Eval, &*model, start.size()[0] as usize);
        Ok(Self {
            frozen: model.freeze(chain_form(&compute, Mode::Eval, sampler.temperature())),
            kernel: sampler.kernel.build(sampler.n_steps),
            runner: ChainRunner::new(CudaGraph::Auto),
            form: Form::of(&compute),
            start: start.to_device(device),
            steps: sampler.n_steps,
            rng: Stream::new(0, "sampler"),
        })
    }

    fn run(&mut self) -> Tensor {
        let start = self.start.shallow_clone();
        let (kernel, energy, rng) = (&*self.kernel, &self.frozen.outputs().any(), &mut self.rng);
        self.runner
            .run(kernel, energy, start, self.steps, rng, &mut |_: usize, _: &Tensor| {})
            .x
    }
}

/// The sections of an experiment that numbers of plain Langevin chains stand for.
fn sections(numbers: serde_json::Value) -> anyhow::Result<(SamplerConfig, ComputeConfig)> {
    let place = Path::new("request");
    let mut tree = yaml::parse(
        &serde_json::json!({"compute": {}, "sampler": numbers}).to_string(),
        place,
    )?;
    legacy::upgrade(&mut tree);
    let section = |key: &str| tree[key].clone();
    Ok((
        yaml::typed(section("sampler"), place)?,
        yaml::typed(section("compute"), place)?,
    ))
}

/// A trainer as `ebm train` builds it, in a run's folder that is not there yet.
fn trainer(file: &Path, run: &Path) -> anyhow::Result<Trainer> {
    let mut experiment = Experiment::load(file, &[])?;
    let device = device(&experiment.device)?;
    ffi::set_tf32(experiment.train.precision == TrainPrecision::Tf32);
    if let Some(threads) = experiment.threads {
        tch::set_num_threads(threads as i32);
    }
    let data = data::open(&experiment.data, experiment.model.input(), device)?;
    let (init, space) = (experiment.init(), experiment.space());
    let starter = Starter::new(&init, &space, Some(&data.train), device)?;
    let state = State::new(&experiment, &data, &starter, device)?;
    let batch = experiment.train.batch_size;
    resolve_auto(&mut experiment.compute, Mode::Eval, &*state.model, batch);
    let run = RunDir::create(run, &yaml::to_text(&experiment), &experiment, |_| Ok(()))?;
    Ok(Trainer::new(experiment, data, starter, run, device, state)?)
}

fn device(name: &str) -> anyhow::Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" if Cuda::is_available() => Ok(Device::Cuda(0)),
        other => anyhow::bail!("device {other}: expected cpu, or cuda where this LibTorch and machine offer it"),
    }
}

fn synchronise(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}
