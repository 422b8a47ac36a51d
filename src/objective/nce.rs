//! Noise-contrastive estimation with a learned log Z.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad_guard};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::contrastive::ENERGY_POS;
use super::inputs::{Inputs, name};
use super::noise::NceNoise;
use super::normal::BATCH;
use crate::config::Checker;
use crate::data::Images;
use crate::error::Result;
use crate::models::Density;
use crate::rng::Stream;

/// Tells data from noise of a known density q by log p(x) - log q(x), where log p(x) = -E(x)/T -
/// log Z and log Z is a parameter like any other (Gutmann & Hyvarinen 2010). It runs no chains, and
/// its energies come with their normaliser.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nce {
    /// What multiplies the term.
    #[serde(default = "crate::config::one")]
    pub weight: f64,
    /// The density of the noise.
    #[serde(default)]
    pub noise: NceNoise,
    /// States of noise for each one of data.
    #[serde(default = "one_each")]
    pub ratio: usize,
}

fn one_each() -> usize {
    1
}

/// States of noise, `[ratio B,..]`.
const NOISE: &str = "noise states";

impl ObjectiveSpec for Nce {
    fn check(&self, c: &Checker) -> Result<()> {
        c.at_least_one("ratio", self.ratio as u64)?;
        self.noise.check(&c.at("noise"))
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            passes: vec![name::DATA, NOISE],
            ..Asks::of_data()
        }
    }

    fn build(&self, device: Device) -> Box<dyn Objective> {
        let log_z = Tensor::zeros([0i64; 0], (Kind::Float, device)).set_requires_grad(true);
        Box::new(Estimation {
            ratio: self.ratio as i64,
            noise: self.noise.clone(),
            base: None,
            density: None,
            log_z,
        })
    }

    fn example() -> Self {
        Self {
            weight: 1.0,
            noise: NceNoise::default(),
            ratio: 2,
        }
    }
}

/// The term with its parameter.
#[derive(Debug)]
struct Estimation {
    ratio: i64,
    noise: NceNoise,
    /// The model of another run, where it is the noise.
    base: Option<Rc<dyn Density>>,
    /// The density of the noise, once it is fitted.
    density: Option<Rc<dyn Density>>,
    /// `[]`
    log_z: Tensor,
}

impl Estimation {
    fn density(&self) -> &dyn Density {
        self.density.as_deref().expect("noise is fitted before the first step")
    }

    /// log p(x) - log q(x) - log ratio, `[B]`.
    fn logit(&self, energy: &Tensor, temperature: f64, x: &Tensor) -> Tensor {
        let log_p = energy / -temperature - &self.log_z;
        log_p - self.density().log(x) - (self.ratio as f64).ln()
    }
}

impl Objective for Estimation {
    fn quantities(&self) -> Vec<Quantity> {
        let all = [
            ("energy_pos", ENERGY_POS),
            (
                "energy_noise",
                "the mean energy of the noise that `nce` tells data from",
            ),
            ("log_z", "the logarithm of the normaliser that `nce` has learned"),
            ("nce_loss", "the term `nce`, before its weight"),
            (
                "nce_accuracy",
                "the share of data and of noise that `nce` tells apart, mean of both",
            ),
        ];
        all.map(|(name, meaning)| Quantity::always(name, meaning)).into()
    }

    fn set_base(&mut self, base: &Rc<dyn Density>) {
        self.base = Some(Rc::clone(base));
    }

    /// Fits the noise, and lets log Z start where energies of 0 can hardly be told from noise.
    fn fit(&mut self, train: &Images) -> Result<()> {
        let _guard = no_grad_guard();
        let density = self.noise.density(train, self.base.as_ref())?;
        let log_q = density.log(&train.chunk(0, BATCH)).mean(Kind::Float);
        self.log_z.copy_(&log_q.neg());
        self.density = Some(density);
        Ok(())
    }

    fn gather(&self, inputs: &mut Inputs, rng: &mut Stream) {
        let x = inputs.of(name::DATA);
        let mut size = x.size();
        size[0] *= self.ratio;
        let noise = self.density().draw(&size, x.device(), rng);
        inputs.put(NOISE, noise);
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let energies = [name::DATA, NOISE].map(|input| passes.energy(input));
        let temperature = passes.temperature();
        let pos = self.logit(&energies[0], temperature, inputs.of(name::DATA));
        let neg = self.logit(&energies[1], temperature, inputs.of(NOISE));
        let of_noise = neg.softplus().mean(Kind::Float) * self.ratio as f64;
        let value = pos.neg().softplus().mean(Kind::Float) + of_noise;
        let share = |right: Tensor| right.to_kind(Kind::Float).mean(Kind::Float);
        let accuracy = (share(pos.gt(0.0)) + share(neg.lt(0.0))) * 0.5;
        let energies = energies.map(|energy| energy.detach());
        Loss {
            parts: vec![
                ("energy_pos", energies[0].mean(Kind::Float)),
                ("energy_noise", energies[1].mean(Kind::Float)),
                ("log_z", self.log_z.detach()),
                ("nce_loss", value.detach()),
                ("nce_accuracy", accuracy),
            ],
            watched: energies.into(),
            value,
        }
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![("log_z".into(), self.log_z.shallow_clone())]
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("nce_loss")
    }
}
