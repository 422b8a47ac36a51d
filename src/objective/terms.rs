//! The terms of an objective together: a weighted sum.

use std::rc::Rc;

use tch::Tensor;

use super::asks::Asks;
use super::contract::{Loss, Objective, Passes, Quantity};
use super::generator::Generator;
use super::inputs::Inputs;
use crate::data::Images;
use crate::energy::{Energy, Outputs};
use crate::error::Result;
use crate::files::{self, Named};
use crate::models::Density;
use crate::rng::Stream;
use crate::space::Space;

/// Makes the struct of all terms, each of which a file may name, and what they share.
///
/// A term is one line here; its checks and what it builds stand with its type, in its own file.
macro_rules! terms {
    ($(#[$meta:meta])* $vis:vis struct $name:ident: $spec:ident {
        $($(#[$doc:meta])* $term:ident: $config:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        $vis struct $name {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $term: Option<$config>),*
        }

        impl $name {
            /// No term at all.
            pub fn none() -> Self {
                Self { $($term: None),* }
            }

            /// Every term that is named, by its key.
            fn specs(&self) -> Vec<(String, &dyn $spec)> {
                let mut all: Vec<(String, &dyn $spec)> = Vec::new();
                $(if let Some(term) = &self.$term {
                    all.push((stringify!($term).replace('_', "-"), term));
                })*
                all
            }

            /// One objective for each term, of that term alone, by its key.
            pub fn examples() -> Vec<(String, Self)> {
                vec![$((
                    stringify!($term).replace('_', "-"),
                    Self { $term: Some(<$config as $spec>::example()), ..Self::none() },
                )),*]
            }

            /// Leaves out the terms of weight 0.
            pub(crate) fn drop_weightless(&mut self) {
                $(self.$term.take_if(|term| $spec::weight(term) == 0.0);)*
            }
        }
    };
}

pub(super) use terms;

/// A term with its weight.
#[derive(Debug)]
pub struct Term {
    /// Its key in a file.
    pub key: String,
    /// What multiplies its loss.
    pub weight: f64,
    /// The step from which on it counts.
    pub from: u64,
    /// What it asks for.
    pub asks: Asks,
    /// The term itself.
    pub objective: Box<dyn Objective>,
}

/// Terms that are summed.
#[derive(Debug, Default)]
pub struct Terms(pub Vec<Term>);

impl Terms {
    /// The terms that count at a step.
    fn active(&self, step: u64) -> impl Iterator<Item = &Term> {
        self.0.iter().filter(move |term| step >= term.from)
    }

    /// What the terms of a step ask for.
    pub fn asks(&self, step: u64) -> Asks {
        self.active(step).fold(Asks::default(), |all, term| all.and(&term.asks))
    }

    /// Draws the first values of parameters that depend on the states.
    pub fn begin(&mut self, space: &Space, rng: &mut Stream) {
        self.0.iter_mut().for_each(|term| term.objective.begin(space, rng));
    }

    /// Hands the model of another run to each term; before [`fit`](Self::fit).
    pub fn set_base(&mut self, base: &Rc<dyn Density>) {
        self.0.iter_mut().for_each(|term| term.objective.set_base(base));
    }

    /// Fits each term to the training states.
    ///
    /// # Errors
    /// Those of the terms.
    pub fn fit(&mut self, train: &Images) -> Result<()> {
        self.0.iter_mut().try_for_each(|term| term.objective.fit(train))
    }

    /// The host's part before the chains of a step run.
    pub fn before_chains(&self, step: u64, inputs: &mut Inputs, rng: &mut Stream) {
        self.active(step)
            .for_each(|term| term.objective.before_chains(inputs, rng));
    }

    /// Where the chains of a step start, if a term says so.
    pub fn chain_start(&self, step: u64, inputs: &Inputs) -> Option<Tensor> {
        self.active(step).find_map(|term| term.objective.chain_start(inputs))
    }

    /// What these chains move by, if a term says so.
    pub fn chain_target<'a>(
        &'a self,
        step: u64,
        of: &'a dyn Outputs,
        temperature: f64,
        inputs: &'a Inputs,
    ) -> Option<Box<dyn Energy + 'a>> {
        let mut terms = self.active(step);
        terms.find_map(|term| term.objective.chain_target(of, temperature, inputs))
    }

    /// The host's part of a step, of every term.
    pub fn gather(&self, step: u64, inputs: &mut Inputs, rng: &mut Stream) {
        self.active(step).for_each(|term| term.objective.gather(inputs, rng));
    }

    /// The weighted sum of the terms whose inputs were gathered.
    ///
    /// # Panics
    /// If there is none.
    pub fn loss(&self, step: u64, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let weighted = self.active(step).map(|term| {
            let loss = term.objective.loss(passes, inputs);
            // A weight of 1 is left out, so that a plain objective is computed as it reads.
            match term.weight {
                1.0 => loss,
                weight => Loss {
                    value: loss.value * weight,
                    ..loss
                },
            }
        });
        let sum = weighted.reduce(|mut sum, next| {
            sum.parts.extend(next.parts);
            sum.watched.extend(next.watched);
            Loss {
                value: sum.value + next.value,
                ..sum
            }
        });
        sum.expect("a step has a term")
    }

    /// What all terms report, each name once.
    pub fn quantities(&self) -> Vec<Quantity> {
        let mut all: Vec<Quantity> = Vec::new();
        for quantity in self.0.iter().flat_map(|term| term.objective.quantities()) {
            match all.iter_mut().find(|known| known.name == quantity.name) {
                // What one term has at every step is there at every step.
                Some(known) => known.of_chains &= quantity.of_chains,
                None => all.push(quantity),
            }
        }
        all
    }

    /// The terms' own parameters, by name.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |term: &Term| {
            let key = term.key.clone();
            let own = term.objective.parameters().into_iter();
            own.map(move |(name, tensor)| (format!("{key}.{name}"), tensor))
        };
        self.0.iter().flat_map(named).collect()
    }

    /// Copies values of the terms' own parameters; `place` names their origin in an error.
    ///
    /// # Errors
    /// Where a name is missing or not expected, a shape or kind differs, or a number is not finite;
    /// then nothing is changed.
    pub fn load(&self, saved: &Named, place: &str) -> Result<()> {
        let own: Vec<(String, Tensor)> = self.parameters().into_iter().map(|(n, t)| (n, t.detach())).collect();
        files::check_same(&own, saved, place)?;
        files::ensure_finite(saved, &format!("{place}, the objective"))?;
        own.into_iter().for_each(|(name, mut t)| t.copy_(&saved[&name]));
        Ok(())
    }

    /// The generator that fresh chains start from, where a term has one.
    pub fn generator(&self) -> Option<&Generator> {
        self.0.iter().find_map(|term| term.objective.generator())
    }

    /// Whether the loss is one of the quantities, and no other number.
    pub fn reports_loss(&self) -> bool {
        matches!(&self.0[..], [only] if only.weight == 1.0 && only.objective.reports_loss().is_some())
    }
}
