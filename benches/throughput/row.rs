//! One row, in a process of its own: the chain and the training step of one network at one batch in one precision.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ebm::data;
use ebm::experiment::{Experiment, TrainPrecision};
use ebm::models::{FrozenModel, Layout, ModelConfig, Precision, chain_form, resolve_auto};
use ebm::nn::Mode;
use ebm::rng::Stream;
use ebm::run::RunDir;
use ebm::sampling::{self, Kernel, Starter};
use ebm::train::{State, Trainer};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::gemm::Gemm;
use crate::machine;

/// Rounds that are timed, at least and at most; between the two, as many as the time allows.
const ROUNDS: [usize; 2] = [3, 9];
const TIME: Duration = Duration::from_secs(5);

/// Images of noise that stand for data: a step takes a batch of them, whatever they show.
const IMAGES: i64 = 512;

/// What a row is to measure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// An architecture file.
    pub network: PathBuf,
    pub batch: usize,
    /// That of the chain; `auto` is resolved as the program does.
    pub precision: Precision,
    /// Likewise.
    pub layout: Layout,
    pub train_precision: TrainPrecision,
    /// Steps of a chain, K.
    pub steps: usize,
    pub device: String,
    pub threads: i32,
    /// Whether to time one short chain only.
    pub probe: bool,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// That of the chain, resolved.
    pub precision: Precision,
    /// Whether the program chooses it by itself, and the layout where one was asked for.
    pub shipped: bool,
    /// Multiply-accumulates of one image's energy.
    pub macs: u64,
    /// Seconds of a chain.
    pub chain: f64,
    /// Seconds of a training step; none for a probe.
    pub train: Option<f64>,
    /// Bytes.
    pub peak: Option<u64>,
    /// FLOP/s of f32 and of bf16 products, where they were needed.
    pub gemm: [Option<f64>; 2],
    /// In which layout the chain ran.
    pub layout: Layout,
}

impl Row {
    pub fn measure(&self) -> anyhow::Result<Measured> {
        tch::set_num_threads(self.threads);
        let device = device(&self.device)?;
        let folder = tempfile::tempdir()?;
        let experiment = self.experiment(folder.path())?;
        let mut trainer = trainer(experiment, folder.path(), device)?;
        let experiment = trainer.experiment();
        let mut measured = Measured {
            precision: experiment.compute.precision,
            layout: experiment.compute.layout,
            shipped: false,
            macs: experiment.model.describe(&self.network)?.macs,
            chain: 0.0,
            train: None,
            peak: None,
            gemm: [None; 2],
        };
        let mut chain = Chain::new(&trainer, device);
        chain.run(1);
        if self.probe {
            // The best of some: other work on the machine only ever adds to it.
            let times = (0..5).map(|_| chain.timed(self.steps));
            measured.chain = times.fold(f64::INFINITY, f64::min);
            return Ok(measured);
        }
        trainer.step()?;
        machine::synchronize(device);
        measured.peak = machine::peak_memory(device);
        // Measured once more only now, since that takes memory of its own.
        let (precision, layout) = as_shipped(&trainer);
        let same_layout = self.layout == Layout::Auto || measured.layout == layout;
        measured.shipped = measured.precision == precision && same_layout;
        self.time(&mut trainer, &mut chain, &mut measured)?;
        Ok(measured)
    }

    /// Times the chain, the training step and matrix products in turn.
    fn time(&self, trainer: &mut Trainer, chain: &mut Chain, measured: &mut Measured) -> anyhow::Result<()> {
        let device = trainer.device();
        let mut kinds = vec![ebm::models::kind_of(measured.precision), kind_of(self.train_precision)];
        kinds.dedup();
        let mut gemms: Vec<Gemm> = kinds.into_iter().map(|kind| Gemm::new(kind, device)).collect();
        let (mut chains, mut steps) = (Vec::new(), Vec::new());
        let [least, most] = ROUNDS;
        let begun = Instant::now();
        while chains.len() < least || (chains.len() < most && begun.elapsed() < TIME) {
            gemms.iter_mut().for_each(Gemm::measure);
            chains.push(chain.timed(self.steps));
            gemms.iter_mut().for_each(Gemm::measure);
            let clock = Instant::now();
            trainer.step()?;
            machine::synchronize(device);
            steps.push(clock.elapsed().as_secs_f64());
        }
        measured.chain = machine::median(&chains);
        measured.train = Some(machine::median(&steps));
        let rate = |kind| gemms.iter().find(|g| g.kind() == kind).map(Gemm::rate);
        measured.gemm = [Kind::Float, Kind::BFloat16].map(rate);
        Ok(())
    }

    /// Persistent chains as in experiments/mnist.yaml, with a buffer that is small beside the network's memory.
    fn experiment(&self, folder: &Path) -> anyhow::Result<Experiment> {
        let model: ModelConfig = ebm::config::yaml::load(&self.network)?;
        let images = folder.join("images.npy");
        noise(model.image()?).write_npy(&images)?;
        let text = format!(
            "
device: {}
data: {{dataset: {{npy: {{images: {}}}}}, noise: 0.03}}
model: {}
sampler:
  n_steps: {}
  kernel:
    langevin:
      step_size: 10
      noise_scale: 0.005
      grad_clip: {{value: 0.03}}
      clamp: [-1, 1]
      order: [noise, clamp, gradient, clamp]
compute: {{precision: {}, layout: {}}}
buffer: {{size: 1000}}
objective: {{contrastive: {{energy_reg: 0.1}}}}
optimizer: {{algorithm: {{adam: {{betas: [0.0, 0.999]}}}}, lr: 1.0e-4, grad_clip: {{norm: 0.1}}, ema: 0.999}}
train: {{steps: 1000000, batch_size: {}, precision: {}}}
",
            self.device,
            images.display(),
            self.network.display(),
            self.steps,
            word(&self.precision),
            word(&self.layout),
            self.batch,
            word(&self.train_precision),
        );
        Ok(Experiment::from_text(&text, Path::new("throughput.yaml"), &[])?)
    }
}

/// What precision and layout come to where both are `auto`, for this network and batch.
fn as_shipped(trainer: &Trainer) -> (Precision, Layout) {
    let mut compute = trainer.experiment().compute.clone();
    (compute.precision, compute.layout) = (Precision::Auto, Layout::Auto);
    let batch = trainer.experiment().train.batch_size;
    resolve_auto(&mut compute, Mode::Eval, &*trainer.state().model, batch);
    (compute.precision, compute.layout)
}

/// The trainer that `ebm train` would make of an experiment, with the choices that it would make on this machine.
fn trainer(mut experiment: Experiment, folder: &Path, device: Device) -> anyhow::Result<Trainer> {
    let images = data::open(&experiment.data, experiment.model.input(), device)?;
    let (init, space) = (experiment.init(), experiment.space());
    let starter = Starter::new(&init, &space, Some(&images.train), device)?;
    let state = State::new(&experiment, &images, &starter, device)?;
    let batch = experiment.train.batch_size;
    resolve_auto(&mut experiment.compute, Mode::Eval, &*state.model, batch);
    let run = RunDir::create(&folder.join("run"), "", &experiment, |_| Ok(()))?;
    Ok(Trainer::new(experiment, images, starter, run, device, state)?)
}

/// Chains from the weights that the trainer has at first.
struct Chain {
    kernel: Box<dyn Kernel>,
    frozen: Box<dyn FrozenModel>,
    x: Tensor,
    rng: Stream,
    device: Device,
}

impl Chain {
    fn new(trainer: &Trainer, device: Device) -> Self {
        let (e, mut rng) = (trainer.experiment(), Stream::new(0, "throughput"));
        let sampler = e.sampler.as_ref().expect("a row has chains");
        let (space, n) = (e.space(), e.train.batch_size as i64);
        Self {
            frozen: trainer
                .state()
                .model
                .freeze(chain_form(&e.compute, Mode::Eval, e.temperature())),
            kernel: sampler.kernel.build(sampler.n_steps),
            x: rng.uniform(&space.batch(n), -1.0, 1.0, device),
            rng,
            device,
        }
    }

    /// Seconds of a run.
    fn timed(&mut self, steps: usize) -> f64 {
        let clock = Instant::now();
        self.run(steps);
        clock.elapsed().as_secs_f64()
    }

    fn run(&mut self, steps: usize) {
        let x = self.x.shallow_clone();
        drop(sampling::run_chain(
            &*self.kernel,
            &self.frozen.outputs().any(),
            x,
            steps,
            &mut self.rng,
        ));
        machine::synchronize(self.device);
    }
}

fn noise([c, h, w]: [i64; 3]) -> Tensor {
    let levels = Stream::new(0, "images").integers(256, IMAGES * c * h * w, Device::Cpu);
    levels.to_kind(Kind::Uint8).view([IMAGES, c, h, w])
}

fn device(word: &str) -> anyhow::Result<Device> {
    match word {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Ok(Device::Cuda(0)),
        other => anyhow::bail!("device {other}: give cpu or cuda"),
    }
}

pub fn kind_of(precision: TrainPrecision) -> Kind {
    match precision {
        TrainPrecision::F32 | TrainPrecision::Tf32 => Kind::Float,
        TrainPrecision::Bf16 => Kind::BFloat16,
    }
}

/// A choice as it is written in a configuration.
pub fn word<T: Serialize>(choice: &T) -> String {
    ebm::config::yaml::to_text(choice).trim().to_owned()
}
