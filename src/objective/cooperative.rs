//! Cooperative training: a generator starts the chains, and learns where they end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::generator::{Generator, widths};
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;
use crate::memory;
use crate::rng::Stream;
use crate::space::{Space, sum_each};

/// mean |x_K - g(z)|^2 / (2 sigma^2) over standard normal z, where x_K is the end of the chain that
/// started at g(z): minus the log likelihood of x_K under N(g(z), sigma^2 I). The generator g learns
/// what the chains did, so that chains of few steps go on from where earlier ones came to
/// (cooperative training, Xie et al. 2018).
///
/// It stands beside a term that trains the energy, such as `contrastive`, whose chains it starts.
/// The gradient of the model does not depend on it. Fresh chains of the run, and those of its
/// pictures and of `ebm sample`, start from draws of g, with averaged weights where the run keeps an
/// average. g has the optimiser of the model and its learning rate; `weight` and `sigma` matter
/// little under Adam, except to `optimizer.grad_clip`, which is of both together.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooperative {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The step from which on it counts.
    #[serde(default)]
    pub from: u64,
    /// Numbers of z.
    pub latent: usize,
    /// Widths of the generator's layers between z and a state, silu after each; without any it is
    /// linear.
    pub hidden: Vec<usize>,
    /// What is taken of the generator's last numbers; null leaves them as they are.
    #[serde(default)]
    pub squash: Option<Squash>,
    /// Standard deviation of a chain's end around g(z), in the units of states.
    #[serde(default = "crate::config::one")]
    pub sigma: f64,
}

/// What keeps a generator's numbers in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Squash {
    /// tanh: every number in (-1, 1), as those of images are.
    Tanh,
}

/// Latent vectors of the chains of a step, `[B, latent]`.
const LATENTS: &str = "latents of the generator";

impl ObjectiveSpec for Cooperative {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("latent", self.latent as u64)?;
        for (i, width) in self.hidden.iter().enumerate() {
            c.at_least_one(&format!("hidden[{i}]"), *width as u64)?;
        }
        c.positive("sigma", self.sigma)
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn from(&self) -> u64 {
        self.from
    }

    fn asks(&self) -> Asks {
        Asks {
            chains: true,
            own_chains: true,
            generator: true,
            ..Asks::of_data()
        }
    }

    fn build(&self, device: Device) -> Box<dyn Objective> {
        Box::new(Cooperation {
            config: self.clone(),
            device,
            generator: None,
        })
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            from: 0,
            latent: 2,
            hidden: vec![5],
            squash: Some(Squash::Tanh),
            sigma: 0.5,
        }
    }
}

impl Cooperative {
    fn hidden(&self) -> Vec<i64> {
        self.hidden.iter().map(|width| *width as i64).collect()
    }

    /// How many parameters the generator of states of `space` has; the largest count beyond that.
    pub(crate) fn parameters(&self, space: &Space) -> u64 {
        let widths: Vec<i64> = widths(self.latent as i64, &self.hidden(), space).collect();
        let of_layer = |pair: &[i64]| memory::product(&[pair[0] as u64 + 1, pair[1] as u64]);
        widths.windows(2).map(of_layer).fold(0, u64::saturating_add)
    }
}

/// The term with its generator.
#[derive(Debug)]
struct Cooperation {
    config: Cooperative,
    device: Device,
    /// There once the term has begun.
    generator: Option<Generator>,
}

impl Cooperation {
    fn begun(&self) -> &Generator {
        self.generator.as_ref().expect("the term has begun")
    }
}

impl Objective for Cooperation {
    fn quantities(&self) -> Vec<Quantity> {
        let meaning =
            "the term `cooperative`, before its weight: how far chains end from where its generator starts them";
        vec![Quantity::of_chains("generator_loss", meaning)]
    }

    fn begin(&mut self, space: &Space, rng: &mut Stream) {
        let c = &self.config;
        let squashed = c.squash == Some(Squash::Tanh);
        let generator = Generator::new(c.latent as i64, &c.hidden(), squashed, space, self.device, rng);
        self.generator = Some(generator);
    }

    fn before_chains(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let n = inputs.of(name::DATA).size()[0];
        inputs.put(LATENTS, self.begun().latents(n, rng));
    }

    fn chain_start(&self, inputs: &Inputs) -> Option<Tensor> {
        Some(self.begun().starts(inputs.of(LATENTS)))
    }

    fn loss(&self, _: &dyn Passes, inputs: &Inputs) -> Loss {
        let starts = self.begun().states(inputs.of(LATENTS));
        let squares = sum_each(&(inputs.of(name::NEGATIVES) - starts).square());
        let value = squares.mean(Kind::Float) * (0.5 / self.config.sigma.powi(2));
        Loss {
            parts: vec![("generator_loss", value.detach())],
            watched: Vec::new(),
            value,
        }
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.generator.as_ref().map_or_else(Vec::new, Generator::parameters)
    }

    fn generator(&self) -> Option<&Generator> {
        self.generator.as_ref()
    }
}
