//! The `objective` section as a whole: what its terms ask for together, their checks, and what they build.

use tch::Device;

use super::ObjectiveConfig;
use super::asks::Asks;
use super::contract::ObjectiveSpec;
use super::generator::Generator;
use super::noise::{BaseRun, NceNoise};
use super::terms::{Term, Terms};
use crate::config::Checker;
use crate::error::Result;
use crate::files::Named;
use crate::rng::Stream;
use crate::space::Space;

impl Default for ObjectiveConfig {
    /// Maximum likelihood alone.
    fn default() -> Self {
        Self {
            contrastive: Some(Default::default()),
            ..Self::none()
        }
    }
}

impl ObjectiveConfig {
    /// What all terms ask for.
    pub fn asks(&self) -> Asks {
        self.specs()
            .iter()
            .fold(Asks::default(), |all, (_, spec)| all.and(&spec.asks()))
    }

    /// What each term asks for, by its key.
    pub fn asks_by_term(&self) -> Vec<(String, Asks)> {
        self.specs().into_iter().map(|(key, spec)| (key, spec.asks())).collect()
    }

    /// Whether it trains E(x) or E(x,y) themselves; a classifier alone leaves E(x) as it comes.
    pub fn trains_energy(&self) -> bool {
        let specs = self.specs();
        specs.iter().any(|(_, spec)| {
            let asks = spec.asks();
            asks.data || asks.chains
        })
    }

    /// The step from which on chains run; 0 where they run from the beginning or never.
    pub fn chains_from(&self) -> u64 {
        let specs = self.specs();
        let of_chains = specs.iter().filter(|(_, spec)| spec.asks().chains);
        of_chains.map(|(_, spec)| spec.from()).min().unwrap_or(0)
    }

    /// Two terms of chains that begin at different steps, if any do.
    pub fn chains_begin_apart(&self) -> Option<(String, String)> {
        let specs = self.specs();
        let mut of_chains = specs.iter().filter(|(_, spec)| spec.asks().chains);
        let (first, spec) = of_chains.next()?;
        let other = of_chains.find(|(_, other)| other.from() != spec.from())?;
        Some((other.0.clone(), first.clone()))
    }

    /// The first step at which a term counts; none where there is no term.
    pub fn first_step(&self) -> Option<u64> {
        self.specs().iter().map(|(_, spec)| spec.from()).min()
    }

    /// The run whose model a term asks for, where one does.
    pub fn base(&self) -> Option<&BaseRun> {
        match &self.nce.as_ref()?.noise {
            NceNoise::Run(run) => Some(run),
            _ => None,
        }
    }

    /// The same, to be settled.
    pub(crate) fn base_mut(&mut self) -> Option<&mut BaseRun> {
        match &mut self.nce.as_mut()?.noise {
            NceNoise::Run(run) => Some(run),
            _ => None,
        }
    }

    /// Whether a term has parameters of its own.
    pub fn has_parameters(&self) -> bool {
        self.asks().generator || !self.build(Device::Cpu).parameters().is_empty()
    }

    /// The generator that fresh chains in `space` start from, where a term has one, with the terms'
    /// own parameters of `saved`; `place` names their origin in an error.
    ///
    /// # Errors
    /// When they are not those of the terms.
    pub fn generator(&self, space: &Space, saved: &Named, place: &str, device: Device) -> Result<Option<Generator>> {
        if !self.asks().generator {
            return Ok(None);
        }
        let mut terms = self.build(device);
        terms.begin(space, &mut Stream::new(0, "copy"));
        terms.load(saved, place)?;
        Ok(terms.generator().map(Generator::shared))
    }

    /// Checks every term; `c` stands at the section.
    pub(crate) fn check(&self, c: &Checker) -> Result<()> {
        self.specs().iter().try_for_each(|(key, spec)| {
            let c = c.at(key);
            c.non_negative("weight", spec.weight())?;
            spec.check(&c)
        })
    }

    /// The terms, their parameters on `device`.
    pub fn build(&self, device: Device) -> Terms {
        let term = |(key, spec): &(String, &dyn ObjectiveSpec)| Term {
            key: key.clone(),
            weight: spec.weight(),
            from: spec.from(),
            asks: spec.asks(),
            objective: spec.build(device),
        };
        Terms(self.specs().iter().map(term).collect())
    }
}
