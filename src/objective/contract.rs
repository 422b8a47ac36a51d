//! What every term of an objective is: what it draws on the host, and a loss of tensors.

use std::rc::Rc;

use tch::{Device, Tensor};

use super::asks::Asks;
use super::generator::Generator;
use super::inputs::Inputs;
use crate::config::Checker;
use crate::data::Images;
use crate::energy::{Energy, Outputs};
use crate::error::Result;
use crate::models::Density;
use crate::rng::Stream;
use crate::space::Space;

/// A number that a term reports at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// Its name in metrics.
    pub name: &'static str,
    /// What it is, for the reference.
    pub meaning: &'static str,
    /// Whether only steps with chains have it.
    pub of_chains: bool,
}

impl Quantity {
    /// One that every step has.
    pub fn always(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            of_chains: false,
        }
    }

    /// One that only steps with chains have.
    pub fn of_chains(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            of_chains: true,
        }
    }
}

/// The loss of a term, and what is known beside it.
#[derive(Debug)]
pub struct Loss {
    /// What is differentiated, `[]`.
    pub value: Tensor,
    /// The quantities of the step by name, `[]` each, detached.
    pub parts: Vec<(&'static str, Tensor)>,
    /// Energies that the guard watches, `[B]` each, detached.
    pub watched: Vec<Tensor>,
}

/// What a loss may call: the model in the pass that is differentiated in its parameters.
pub trait Passes {
    /// E(x) of the input of that name, `[B]`; named in [`Asks::passes`].
    fn energy(&self, input: &str) -> Tensor;

    /// Logits `[B,K]` of that input.
    fn logits(&self, input: &str) -> Tensor;

    /// E(x,y) of that input and classes `[B]` (i64), `[B]`.
    fn joint(&self, input: &str, classes: &Tensor) -> Tensor;

    /// The energy itself, for terms that differentiate in x.
    fn live(&self) -> Box<dyn Energy + '_>;

    /// The energy that the chains move on, its parameters held constant.
    fn held(&self) -> Box<dyn Energy + '_>;

    /// Where the chains end, `[B,..]`, their last step taken again with a graph behind it.
    fn chain_end(&self) -> Tensor;

    /// T of the target exp(-E/T).
    fn temperature(&self) -> f64;
}

/// A term of an objective.
pub trait Objective: std::fmt::Debug {
    /// What it reports, in this order.
    fn quantities(&self) -> Vec<Quantity>;

    /// Draws the first values of parameters that depend on the states, once, before anything else.
    fn begin(&mut self, _space: &Space, _rng: &mut Stream) {}

    /// Takes the model of another run, where it asks for one; before [`fit`](Self::fit).
    fn set_base(&mut self, _base: &Rc<dyn Density>) {}

    /// Fits what it takes from the training states, once, before the first step.
    ///
    /// # Errors
    /// When they do not determine it.
    fn fit(&mut self, _train: &Images) -> Result<()> {
        Ok(())
    }

    /// The host's part before the chains of a step run, of a term that says where they start
    /// ([`Asks::own_chains`]): adds what it draws for that.
    fn before_chains(&self, _inputs: &mut Inputs, _rng: &mut Stream) {}

    /// Where the chains of the step start, `[B,..]`, of such a term; cut off from any graph.
    fn chain_start(&self, _inputs: &Inputs) -> Option<Tensor> {
        None
    }

    /// What these chains move by, where that is not the model's energy itself; `temperature` is T of
    /// their target exp(-E/T).
    fn chain_target<'a>(
        &'a self,
        _of: &'a dyn Outputs,
        _temperature: f64,
        _inputs: &'a Inputs,
    ) -> Option<Box<dyn Energy + 'a>> {
        None
    }

    /// The host's part of a step: adds what it draws to what was gathered for all terms.
    fn gather(&self, _inputs: &mut Inputs, _rng: &mut Stream) {}

    /// The device's part: a function of tensors that draws nothing.
    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss;

    /// Parameters of its own, by name, that training changes beside the model's.
    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// The generator that fresh chains start from, of a term that asks for one ([`Asks::generator`])
    /// and has begun.
    fn generator(&self) -> Option<&Generator> {
        None
    }

    /// The name of the quantity that is the loss itself, where one is.
    fn reports_loss(&self) -> Option<&'static str> {
        None
    }
}

/// A term's section of a file: it says what is wrong with it, what it asks for, and what it builds.
pub(crate) trait ObjectiveSpec {
    /// Checks every number; `c` stands at the section.
    ///
    /// # Errors
    /// The first fault found.
    fn check(&self, c: &Checker) -> Result<()>;

    /// What multiplies its loss; 0 leaves it out.
    fn weight(&self) -> f64;

    /// The step from which on it counts.
    fn from(&self) -> u64 {
        0
    }

    /// What it asks of a step.
    fn asks(&self) -> Asks;

    /// The term, its parameters on `device`.
    fn build(&self, device: Device) -> Box<dyn Objective>;

    /// Numbers for states of unit scale: what the reference shows, and the tests of all terms run.
    fn example() -> Self
    where
        Self: Sized;
}
