//! The live network: its parameters are what training changes.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::config::{NetworkConfig, Output};
use super::layout::Layout;
use super::mode::Mode;
use super::normalize::Normalizer;
use super::plan::Plan;
use super::{forward, init, spectral, strict};
use crate::error::Result;
use crate::rng::Stream;

/// A network whose parameters require gradients.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    device: Device,
    normalizer: Normalizer,
    pub(super) plan: Plan,
    /// One for each of the plan's slots.
    pub(super) tensors: Vec<Tensor>,
    /// The trainable ones among `tensors`, sharing their memory.
    parameters: Vec<(String, Tensor)>,
}

impl Network {
    /// A network with fresh weights, drawn from `rng` in the order of the state.
    ///
    /// The vectors of spectral norm get some power iterations at once, so that evaluation is sound from the start.
    ///
    /// # Errors
    /// Those of [`describe`](super::describe), with the model's name in place of the file.
    pub fn new(model: &NetworkConfig, device: Device, rng: &mut Stream) -> Result<Network> {
        let plan = Plan::new(model, Path::new(&model.name))?;
        let tensors: Vec<Tensor> = plan
            .slots
            .iter()
            .map(|s| init::start(s, rng).to_device(device))
            .collect();
        for weight in plan.spectral_weights() {
            spectral::settle(&weight, &tensors);
        }
        let parameters = plan
            .slots
            .iter()
            .zip(&tensors)
            .filter(|(slot, _)| slot.trainable)
            .map(|(slot, tensor)| (slot.name.clone(), tensor.set_requires_grad(true)))
            .collect();
        Ok(Network {
            config: model.clone(),
            device,
            normalizer: Normalizer::new(model, device),
            plan,
            tensors,
            parameters,
        })
    }

    /// The architecture it was built from.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Where its tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The network's raw output for each image: `[B,C,H,W]` f32 to `[B]` f32, or to `[B,K]` where it gives logits;
    /// the sign of [`Output`] is not applied. Differentiable in the image and in the parameters.
    ///
    /// In training, dropout draws from torch's global generator: call [`Stream::seed_next`] before
    /// a pass that is to be repeatable.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.forward_as(x, mode, Kind::Float)
    }

    /// The same with layers that compute in `kind` (f32 or bf16); parameters, and their gradients, stay f32.
    pub fn forward_as(&self, x: &Tensor, mode: Mode, kind: Kind) -> Tensor {
        self.forward_in(x, mode, kind, Layout::default())
    }

    /// The same with images and weights in a layout, which changes the speed alone.
    pub fn forward_in(&self, x: &Tensor, mode: Mode, kind: Kind, layout: Layout) -> Tensor {
        self.forward_at(x, None, mode, kind, layout)
    }

    /// The same at a level of noise, `[]` or `[B]`, of a network that takes one.
    pub fn forward_at(&self, x: &Tensor, sigma: Option<&Tensor>, mode: Mode, kind: Kind, layout: Layout) -> Tensor {
        let scaling = self.config.scaling(sigma, x);
        let input = self.normalizer.apply(x, Kind::Float);
        let input = scaling
            .as_ref()
            .map_or_else(|| input.shallow_clone(), |s| s.embed(&input));
        let input = layout.arrange_with_graph(&input, kind);
        let out = match (kind, layout) {
            (Kind::Float, Layout::Contiguous) => forward::run(&self.plan.nodes, input, &self.tensors, mode),
            _ => forward::run(&self.plan.nodes, input, &self.arranged(kind, layout), mode).to_kind(Kind::Float),
        };
        let out = shaped(out, &self.config);
        match scaling {
            Some(scaling) => scaling.output(out, x),
            None => out,
        }
    }

    /// The tensors with those that may be reduced in `kind` and in a layout, differentiable in the parameters.
    fn arranged(&self, kind: Kind, layout: Layout) -> Vec<Tensor> {
        let pairs = self.plan.slots.iter().zip(&self.tensors);
        pairs
            .map(|(slot, t)| match slot.reducible {
                true => layout.arrange_with_graph(t, kind),
                false => t.shallow_clone(),
            })
            .collect()
    }

    /// Whether a pass in `mode` computes each image by itself and leaves nothing behind: batches may then be joined into
    /// one pass.
    pub fn joins(&self, mode: Mode) -> bool {
        self.plan.joins(mode)
    }

    /// How many classes a classifier tells apart; none for an energy without classes.
    pub fn classes(&self) -> Option<i64> {
        self.plan.classes(self.config.output)
    }

    /// Whether a pass in `mode` draws from torch's global generator: dropout, outside of evaluation mode.
    pub fn draws(&self, mode: Mode) -> bool {
        mode != Mode::Eval && self.plan.draws()
    }

    /// What training changes, in the order and with the names of PyTorch's `named_parameters`.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// Parameters and buffers in the order and with the names of PyTorch's `state_dict`; they share the network's memory.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let names = self.plan.slots.iter().map(|s| s.name.clone());
        names.zip(self.tensors.iter().map(Tensor::detach)).collect()
    }

    /// Copies a whole state into the network; `place` names where it comes from.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) that lists every tensor that is missing, unknown, or of another shape or
    /// kind, or not finite; then nothing was copied.
    pub fn load(&self, named: &BTreeMap<String, Tensor>, place: &str) -> Result<()> {
        strict::check(&self.plan.slots, named, place)?;
        let _guard = tch::no_grad_guard();
        for (slot, tensor) in self.plan.slots.iter().zip(&self.tensors) {
            tensor.shallow_clone().copy_(&named[&slot.name]);
        }
        Ok(())
    }

    /// Copies a state whose parameters are replaced by averaged ones; what is no parameter of the network is passed over.
    ///
    /// The vectors of spectral norm belong to the raw weights, so they are brought close to the averaged weights' own.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_averaged(
        &self,
        mut state: BTreeMap<String, Tensor>,
        averaged: impl IntoIterator<Item = (String, Tensor)>,
        place: &str,
    ) -> Result<()> {
        for (name, tensor) in averaged {
            if state.contains_key(&name) {
                state.insert(name, tensor);
            }
        }
        self.load(&state, place)?;
        for weight in self.plan.spectral_weights() {
            spectral::settle(&weight, &self.tensors);
        }
        Ok(())
    }
}

/// The last layer's output as callers see it: a number an image, or a row of logits.
pub(super) fn shaped(out: Tensor, model: &NetworkConfig) -> Tensor {
    match model.output {
        Output::Logits => out,
        Output::Energy | Output::NegativeEnergy => out.reshape([-1]),
    }
}
