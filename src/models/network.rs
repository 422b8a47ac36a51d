//! A network as a model.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Tensor};

use super::contract::{Form, FrozenModel, Model, ModelSpec};
use crate::config::yaml;
use crate::energy::{FrozenEnergy, LiveEnergy, Outputs};
use crate::error::Result;
use crate::nn::{Network, NetworkConfig, Output, Summary, describe};
use crate::rng::Stream;
use crate::space::Space;

impl Model for Network {
    fn space(&self) -> Space {
        Space::of(&self.config().input)
    }

    fn device(&self) -> Device {
        Network::device(self)
    }

    fn classes(&self) -> Option<i64> {
        Network::classes(self)
    }

    fn parameters(&self) -> &[(String, Tensor)] {
        Network::parameters(self)
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Network::state(self)
    }

    fn load(&self, named: &BTreeMap<String, Tensor>, place: &str) -> Result<()> {
        Network::load(self, named, place)
    }

    fn load_averaged(
        &self,
        state: BTreeMap<String, Tensor>,
        averaged: BTreeMap<String, Tensor>,
        place: &str,
    ) -> Result<()> {
        Network::load_averaged(self, state, averaged, place)
    }

    fn reach(&self) -> Option<f64> {
        let of_levels = self.config().levels.and_then(|levels| levels.reach());
        self.config().reference_std.or(of_levels)
    }

    fn has_forms(&self) -> bool {
        true
    }

    fn another(&self, device: Device) -> Result<Box<dyn Model>> {
        let copy = Network::new(self.config(), device, &mut Stream::new(0, "copy"))?;
        Ok(Box::new(copy))
    }

    fn live(&self, form: Form) -> Box<dyn Outputs + '_> {
        let live = LiveEnergy::new(self, form.mode, form.temperature);
        Box::new(live.in_kind(form.kind).in_layout(form.layout))
    }

    fn freeze(&self, form: Form) -> Box<dyn FrozenModel> {
        let frozen = FrozenEnergy::new_in(self, form.kind, form.layout, form.temperature);
        Box::new(frozen.in_mode(form.mode).in_parts(form.most))
    }

    fn as_network(&self) -> Option<&Network> {
        Some(self)
    }
}

impl FrozenModel for FrozenEnergy {
    fn refresh(&mut self, model: &dyn Model) {
        let network = model.as_network().expect("a frozen network follows a network");
        FrozenEnergy::refresh(self, network);
    }
}

impl ModelSpec for NetworkConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> &[i64] {
        &self.input
    }

    fn has_classes(&self) -> bool {
        self.output == Output::Logits
    }

    fn has_forms(&self) -> bool {
        true
    }

    fn describe(&self, file: &Path) -> Result<Summary> {
        describe(self, file)
    }

    fn words(&self) -> String {
        let output = match self.output {
            Output::Energy => "one energy E(x), low = likely",
            Output::NegativeEnergy => "one number f(x) = -E(x), high = likely",
            Output::Logits => "logits f(x), a class each; E(x) = -logsumexp f(x)",
        };
        match self.normalize {
            Some(_) => format!(", each channel normalised -> {output}"),
            None => format!(" -> {output}"),
        }
    }

    fn build(&self, device: Device, rng: &mut Stream) -> Result<Box<dyn Model>> {
        Ok(Box::new(Network::new(self, device, rng)?))
    }

    fn example() -> Self {
        let text = "{name: example, input: [2], layers: [linear: {out: 16}, silu, linear: {out: 1}]}";
        let place = Path::new("the example of a network");
        let tree = yaml::parse(text, place).expect("valid YAML");
        yaml::typed(tree, place).expect("a valid network")
    }
}
