//! What every kind of model is: parameters that training changes, and the energies they make.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use super::density::Density;
use crate::energy::Outputs;
use crate::error::Result;
use crate::nn::{Layout, Mode, Network, Summary};
use crate::rng::Stream;
use crate::space::Space;

/// How a model computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// What its layers do that differs between training and use.
    pub mode: Mode,
    /// The kind of weights and activations, f32 or bf16.
    pub kind: Kind,
    /// How images lie in memory.
    pub layout: Layout,
    /// T of the run's exp(-E/T).
    pub temperature: f64,
    /// The most states that a frozen copy takes gradients of at once; none sets no limit.
    pub most: Option<usize>,
}

impl Form {
    /// f32 in evaluation mode, for a run of temperature T.
    pub fn plain(temperature: f64) -> Self {
        Self {
            mode: Mode::Eval,
            kind: Kind::Float,
            layout: Layout::default(),
            temperature,
            most: None,
        }
    }
}

/// What a run trains: an energy with parameters.
pub trait Model: std::fmt::Debug {
    /// The states that it is a function of.
    fn space(&self) -> Space;

    /// Where its tensors live.
    fn device(&self) -> Device;

    /// How many classes its logits tell apart; none where it gives one energy a state.
    fn classes(&self) -> Option<i64> {
        None
    }

    /// What training changes, by name.
    fn parameters(&self) -> &[(String, Tensor)];

    /// All that a checkpoint holds of it, by name; detached tensors that share its memory.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Copies a whole state into the model; `place` names where it comes from.
    ///
    /// # Errors
    /// A tensor is missing, unknown, of another shape or kind, or not finite; nothing was copied.
    fn load(&self, named: &BTreeMap<String, Tensor>, place: &str) -> Result<()>;

    /// Copies a state whose parameters are replaced by averaged ones; averages of what is no
    /// parameter of the model are passed over.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    fn load_averaged(
        &self,
        mut state: BTreeMap<String, Tensor>,
        averaged: BTreeMap<String, Tensor>,
        place: &str,
    ) -> Result<()> {
        replace(&mut state, averaged);
        self.load(&state, place)
    }

    /// The standard deviation of a Gaussian around 0 about as wide as the density exp(-E/T), of models
    /// whose density can be normalised; none where nothing says that it can.
    fn reach(&self) -> Option<f64> {
        None
    }

    /// The density exp(-E) with present parameters, of models for which it integrates to 1 and
    /// independent draws of it can be made; a copy that no training changes.
    fn density(&self) -> Option<Rc<dyn Density>> {
        None
    }

    /// Whether it computes in bf16 and channels-last, beside f32 and contiguous.
    fn has_forms(&self) -> bool {
        false
    }

    /// Another model of the same architecture, whose parameters are to be loaded.
    ///
    /// # Errors
    /// LibTorch's.
    fn another(&self, device: Device) -> Result<Box<dyn Model>>;

    /// The model as training differentiates it.
    fn live(&self, form: Form) -> Box<dyn Outputs + '_>;

    /// A copy with present parameters, which chains run on and scores are made of.
    fn freeze(&self, form: Form) -> Box<dyn FrozenModel>;

    /// The network, where the model is one: for features of its layers.
    fn as_network(&self) -> Option<&Network> {
        None
    }
}

/// A copy of a model, which no training changes but by [`refresh`](Self::refresh).
pub trait FrozenModel: Outputs {
    /// Takes over the present parameters of the model, into the memory that is there.
    ///
    /// # Panics
    /// If `model` is of another architecture than the one this was made from.
    fn refresh(&mut self, model: &dyn Model);
}

impl dyn FrozenModel + '_ {
    /// The same copy as what energies are made of.
    pub fn outputs(&self) -> &dyn Outputs {
        self
    }
}

/// Puts averages in the place of what they are averages of.
fn replace(state: &mut BTreeMap<String, Tensor>, averaged: BTreeMap<String, Tensor>) {
    for (name, tensor) in averaged {
        if state.contains_key(&name) {
            state.insert(name, tensor);
        }
    }
}

/// A model's section of a file: it says what is wrong with it, what it is, and what it builds.
pub(crate) trait ModelSpec {
    /// What the model is called.
    fn name(&self) -> &str;

    /// The shape of a state.
    fn input(&self) -> &[i64];

    /// Whether it gives logits, a number a class.
    fn has_classes(&self) -> bool {
        false
    }

    /// Whether it computes in bf16 and channels-last, beside f32 and contiguous.
    fn has_forms(&self) -> bool {
        false
    }

    /// Its tensors and costs, made without a tensor; every number is checked.
    ///
    /// # Errors
    /// The first fault found, with `file` and the key below the model.
    fn describe(&self, file: &Path) -> Result<Summary>;

    /// What it is a function to, for people.
    fn words(&self) -> String;

    /// A model with fresh parameters.
    ///
    /// # Errors
    /// Those of [`describe`](Self::describe).
    fn build(&self, device: Device, rng: &mut Stream) -> Result<Box<dyn Model>>;

    /// What the reference shows, and the tests of all models run: a model of points in the plane.
    fn example() -> Self
    where
        Self: Sized;
}
