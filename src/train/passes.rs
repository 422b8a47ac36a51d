//! The live network in one pass over everything that a step learns from.

use std::cell::OnceCell;

use tch::{Kind, Tensor};

use super::trainer::Trainer;
use crate::energy::{Condition, Energy, Outputs};
use crate::experiment::{Statistics, TrainPrecision};
use crate::models::{Form, layout_of};
use crate::nn::Mode;
use crate::objective::{Inputs, Passes, name};
use crate::sampling::Kernel;

/// The outputs of a pass, and what terms may compute from it.
pub(super) struct StepPasses<'a> {
    live: Box<dyn Outputs + 'a>,
    /// For the chains' last step: it records nothing.
    unrecorded: Box<dyn Outputs + 'a>,
    frozen: &'a dyn Outputs,
    kernel: Option<&'a dyn Kernel>,
    n_steps: usize,
    temperature: f64,
    inputs: &'a Inputs,
    /// The model's raw output for each input that was asked for.
    raws: Vec<(&'static str, Tensor)>,
    end: OnceCell<Tensor>,
}

impl Trainer {
    /// A pass in `mode` over the inputs that the terms of this step have named.
    pub(super) fn passes<'a>(&'a self, inputs: &'a Inputs, mode: Mode) -> StepPasses<'a> {
        let (live, synthetic) = (self.live(mode), self.live(self.mode_of_chains(mode)));
        let wanted = self.state.terms.asks(self.step_in_work).passes;
        StepPasses {
            raws: raws(&wanted, inputs, &*live, &*synthetic),
            live,
            unrecorded: self.live(Mode::TrainFrozenStats),
            frozen: self.frozen.outputs(),
            kernel: self.kernel.as_deref(),
            n_steps: self.experiment.sampler.as_ref().map_or(1, |s| s.n_steps),
            temperature: self.temperature,
            inputs,
            end: OnceCell::new(),
        }
    }

    /// The mode of the pass over states that are no data.
    fn mode_of_chains(&self, mode: Mode) -> Mode {
        match self.experiment.train.statistics {
            Statistics::Data if mode == Mode::Train => Mode::TrainFrozenStats,
            _ => mode,
        }
    }

    fn live(&self, mode: Mode) -> Box<dyn Outputs + '_> {
        let kind = match self.experiment.train.precision {
            TrainPrecision::F32 | TrainPrecision::Tf32 => Kind::Float,
            TrainPrecision::Bf16 => Kind::BFloat16,
        };
        self.state.model.live(Form {
            mode,
            kind,
            layout: layout_of(self.experiment.compute.layout),
            temperature: self.temperature,
            most: None,
        })
    }
}

/// Whether an input is of the data.
fn is_data(input: &str) -> bool {
    [name::DATA, name::LABELLED].contains(&input)
}

/// Raw outputs for each input, of one pass where all are computed alike.
fn raws(
    wanted: &[&'static str],
    inputs: &Inputs,
    live: &dyn Outputs,
    synthetic: &dyn Outputs,
) -> Vec<(&'static str, Tensor)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    if live.joins() && synthetic.joins() {
        let states: Vec<&Tensor> = wanted.iter().map(|input| inputs.of(input)).collect();
        return wanted.iter().copied().zip(live.raws(&states)).collect();
    }
    let raw = |input: &&'static str| {
        let energy = if is_data(input) { live } else { synthetic };
        (*input, energy.raw(inputs.of(input)))
    };
    wanted.iter().map(raw).collect()
}

impl StepPasses<'_> {
    /// Logits of labelled states, where the pass went over them.
    pub fn labelled_logits(&self) -> Option<&Tensor> {
        self.raws.iter().find(|(n, _)| *n == name::LABELLED).map(|(_, raw)| raw)
    }

    /// What the chains of the step are given.
    fn condition(&self) -> Condition<'_> {
        let classes = self.inputs.get(name::KEPT_CLASSES);
        classes.map_or(Condition::Any, Condition::Class)
    }

    fn raw(&self, input: &str) -> &Tensor {
        let found = self.raws.iter().find(|(n, _)| *n == input);
        found.map_or_else(|| panic!("no pass over `{input}` was asked for"), |(_, raw)| raw)
    }
}

impl Passes for StepPasses<'_> {
    fn energy(&self, input: &str) -> Tensor {
        let raw = self.raw(input).shallow_clone();
        self.live.head().energy(raw, self.inputs.of(input))
    }

    fn logits(&self, input: &str) -> Tensor {
        self.raw(input).shallow_clone()
    }

    fn joint(&self, input: &str, classes: &Tensor) -> Tensor {
        self.live.head().joint(self.raw(input), classes, self.inputs.of(input))
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(self.live.any())
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(self.frozen.given(self.condition()))
    }

    fn chain_end(&self) -> Tensor {
        let end = self.end.get_or_init(|| {
            let graph = self.kernel.and_then(|kernel| kernel.with_graph());
            let graph = graph.expect("checked to have steps with a graph");
            let [before, noise] = [name::BEFORE_LAST, name::LAST_NOISE].map(|n| self.inputs.of(n));
            let step = |energy: &dyn Energy| graph.step_with_graph(energy, before, noise, self.n_steps - 1);
            step(&self.unrecorded.given(self.condition()))
        });
        end.shallow_clone()
    }

    fn temperature(&self) -> f64 {
        self.temperature
    }
}
