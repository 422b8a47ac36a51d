//! How likely data are: the constant of the density by annealed importance sampling, and with it
//! log p(x).

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::part::{Found, Measure};
use super::subject::{Figures, Subject};
use crate::energy::{Energy, Tempered};
use crate::error::{Error, Result};
use crate::eval::{log_z_by_quadrature, outputs};
use crate::judging::loaded::BATCH;
use crate::sampling::importance::{Base, Estimate, Importance, LogZ};
use crate::sampling::kernels::Hmc;
use crate::sampling::{Kernel, KernelConfig};

/// The acceptance that step sizes are found by, where the run's warm-up names none.
const ACCEPT: f64 = 0.65;
/// Nats between the bounds from which on they are warned of.
const APART: f64 = 1.0;
/// Levels of a pixel of a picture.
const LEVELS: f64 = 256.0;

/// How the constant is found.
#[derive(Debug, Clone, Copy)]
pub struct LikelihoodChoice {
    /// Chains each way.
    pub chains: i64,
    /// Weights of the path, each a step of the kernel.
    pub temperatures: usize,
    /// The density is that in this box, in each number of a state; all of space unless given.
    pub interval: Option<[f64; 2]>,
}

/// The likelihood of test data.
#[derive(Debug)]
pub struct Likelihood {
    choice: LikelihoodChoice,
    base: Base,
    kernel: Box<dyn Kernel>,
    accept: f64,
}

impl Likelihood {
    /// By the run's kernel where it accepts or rejects at one temperature, else by Hamiltonian Monte
    /// Carlo.
    ///
    /// # Errors
    /// The run's temperature is 0, or nothing says that the density can be normalised.
    pub fn new(choice: LikelihoodChoice, subject: &Subject) -> Result<Self> {
        if subject.loaded.temperature == 0.0 {
            return Err(Error::input(
                "--parts likelihood",
                "the run's chains have no noise, so that the temperature T of its density exp(-E/T) is 0",
                "measure a run that was trained with noise",
            ));
        }
        let model = &*subject.loaded.trained.model;
        let base = match (choice.interval, model.reach()) {
            (Some(interval), _) => Base::Uniform { interval },
            (None, Some(std)) => Base::Gaussian { std },
            (None, None) => {
                return Err(Error::input(
                    "--parts likelihood",
                    "nothing says that exp(-E) of this model has an integral: its file names no reference_std",
                    "give --interval LOW,HIGH to measure the density inside of that box, as -1,1 for images",
                ));
            }
        };
        let sampler = subject.loaded.trained.experiment.sampler.as_ref();
        let exact = sampler.filter(|s| {
            let kernel = s.kernel.build(1);
            kernel.facts().exact && !kernel.has_temperatures()
        });
        let kernel = match exact {
            Some(sampler) => sampler.kernel.build(1),
            None => by_default(base).build(1),
        };
        let accept = exact.and_then(|s| s.warm_up).map_or(ACCEPT, |w| w.accept);
        Ok(Self {
            choice,
            base,
            kernel,
            accept,
        })
    }

    /// log Z of exp(-`energy`), and by quadrature where that can be.
    fn log_z(&self, energy: &dyn Energy, subject: &Subject) -> Result<(LogZ, Option<f64>)> {
        let (shape, device) = (&subject.loaded.shape[..], subject.loaded.device);
        let choice = &self.choice;
        let mut chains = Importance::new(&*self.kernel, self.base, energy, (shape, device), choice.temperatures);
        let rng = &mut subject.stream("likelihood");
        chains.tune(choice.chains, self.accept, rng);
        let found = chains.log_z(choice.chains, rng);
        let exact = match (choice.interval, shape) {
            (Some(interval), [1 | 2]) => Some(log_z_by_quadrature(energy, interval, shape[0], device)?),
            _ => None,
        };
        Ok((found, exact))
    }

    /// log p(x) + log Z of the test data, `[N]`, f64: minus their energies over T.
    fn unnormalised(&self, energy: &dyn Energy, subject: &Subject) -> Result<Tensor> {
        let x = self.states(&subject.test()?.pixels, subject);
        self.ensure_inside(&x, subject)?;
        let energies = outputs(&|x| Ok(energy.energy(x)), &x, BATCH)?;
        Ok(energies.to_kind(Kind::Double).neg())
    }

    /// In a box, what lies outside of it has no density.
    fn ensure_inside(&self, x: &Tensor, subject: &Subject) -> Result<()> {
        let Some([low, high]) = self.choice.interval else {
            return Ok(());
        };
        let beyond = x.lt(low).logical_or(&x.gt(high)).flatten(1, -1).any_dim(1, false);
        match beyond.sum(Kind::Int64).int64_value(&[]) {
            0 => Ok(()),
            outside => Err(Error::input(
                "--interval",
                format!(
                    "{outside} of the {} {} lie outside of [{low}, {high}]",
                    x.size()[0],
                    subject.part_word()
                ),
                "widen it, so that it holds all that is measured",
            )),
        }
    }

    /// Levels of pictures become real numbers, uniform in each level's cell of [-1, 1]; points stay.
    fn states(&self, pixels: &Tensor, subject: &Subject) -> Tensor {
        if pixels.kind() != Kind::Uint8 {
            return pixels.shallow_clone();
        }
        let rng = &mut subject.stream("dequantisation");
        let within = rng.uniform(&pixels.size(), 0.0, 1.0, pixels.device());
        (pixels.to_kind(Kind::Float) + within) * (2.0 / LEVELS) - 1.0
    }
}

impl Measure for Likelihood {
    fn measure(&self, subject: &Subject) -> Result<Found> {
        let of_model = subject.loaded.energy.outputs().any();
        let energy = Tempered {
            energy: &of_model,
            temperature: subject.loaded.temperature,
        };
        subject.listener.says(&format!(
            "log Z by {} chains over {} weights from {}, {} ...",
            self.choice.chains,
            self.choice.temperatures,
            self.base.words(),
            self.kernel.words()
        ));
        let log = self.unnormalised(&energy, subject)?;
        let (log_z, exact) = self.log_z(&energy, subject)?;
        let told = Told {
            log_z,
            exact,
            mean: log.mean(Kind::Double).double_value(&[]),
            error: log.std(true).double_value(&[]) / (log.size()[0] as f64).sqrt(),
            numbers: subject.loaded.shape.iter().product(),
            pictures: subject.loaded.shape.len() == 3,
        };
        if told.apart() > APART || told.log_z.lower.effective < 2.0 {
            subject.listener.says(&format!(
                "warning: the bounds of log Z are {:.1} nats apart, with {:.1} effective chains: more --temperatures bring \
                 them together",
                told.apart(),
                told.log_z.lower.effective
            ));
        }
        let figures = Figures::from_iter([("likelihood".to_owned(), self.figures(&told))]);
        Ok((figures, told.words()))
    }
}

impl Likelihood {
    fn figures(&self, told: &Told) -> Value {
        json!({
            "base": self.base.words(),
            "kernel": self.kernel.words(),
            "chains": self.choice.chains,
            "temperatures": self.choice.temperatures,
            "acceptance": told.log_z.accept,
            "log_z_lower": told.log_z.lower,
            "log_z_upper": told.log_z.upper,
            "log_z_thermodynamic": told.log_z.thermodynamic,
            "log_z_quadrature": told.exact,
            "log_likelihood": told.nats(),
            "log_likelihood_error": told.error,
            "bits_per_dim": told.bits(),
        })
    }
}

/// Hamiltonian Monte Carlo of short trajectories, whose steps are then found.
fn by_default(base: Base) -> KernelConfig {
    let width = match base {
        Base::Gaussian { std } => std,
        Base::Uniform { interval: [low, high] } => high - low,
    };
    KernelConfig::Hmc(Hmc {
        step_size: 0.1 * width,
        leapfrog_steps: 5,
        temperature: 1.0,
        mass: None,
        jitter: 0.2,
    })
}

/// What was found.
struct Told {
    log_z: LogZ,
    exact: Option<f64>,
    /// The mean of log p(x) + log Z over test data, and its standard error.
    mean: f64,
    error: f64,
    numbers: i64,
    pictures: bool,
}

impl Told {
    /// Nats between the bounds of log Z.
    fn apart(&self) -> f64 {
        (self.log_z.upper.value - self.log_z.lower.value).abs()
    }

    /// The mean log p(x) by the upper and by the lower bound of log Z.
    fn nats(&self) -> [f64; 2] {
        [&self.log_z.upper, &self.log_z.lower].map(|bound| self.mean - bound.value)
    }

    /// Bits a number of pictures of 256 levels: the mean log p(x) over cells that are 2 / 256 wide.
    fn bits(&self) -> Option<[f64; 2]> {
        let cell = (2.0 / LEVELS).ln();
        let each = |nats: f64| -(nats / self.numbers as f64 + cell) / 2f64.ln();
        self.pictures.then(|| self.nats().map(each))
    }

    fn words(&self) -> String {
        let of = |e: &Estimate| {
            let [low, high] = e.interval;
            format!(
                "{:.3} ({low:.3} to {high:.3}, {:.1} effective chains)",
                e.value, e.effective
            )
        };
        let mut words = format!("log Z, from below   {}\n", of(&self.log_z.lower));
        words += &format!("log Z, from above   {}\n", of(&self.log_z.upper));
        words += &format!(
            "log Z, by thermodynamic integration   {:.3}\n",
            self.log_z.thermodynamic
        );
        if let Some(exact) = self.exact {
            words += &format!("log Z, by quadrature   {exact:.3}\n");
        }
        // Noise may put the bounds the other way round.
        let sorted = |[a, b]: [f64; 2]| [a.min(b), a.max(b)];
        let [low, high] = sorted(self.nats());
        words += &format!(
            "mean log p(x)   {low:.3} to {high:.3} nats, +- {:.3} of the sample\n",
            self.error
        );
        if let Some([low, high]) = self.bits().map(sorted) {
            words += &format!("bits per dimension   {low:.4} to {high:.4}\n");
        }
        words
    }
}
