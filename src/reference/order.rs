//! The order in which a type names its keys; a JSON Schema sorts them by the alphabet.

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::{Mapping, Value};

use crate::config::yaml;
use crate::experiment::Experiment;
use crate::models::ModelConfig;
use crate::objective::ObjectiveConfig;
use crate::sampling::KernelConfig;

/// An experiment in which every section stands that may be null.
const SECTIONS: &str = "
data: {dataset: {toy: {density: rings}}, labelled_augment: {}}
space: {values: real}
sampler: {kernel: {langevin: {step_size: 1, inner: {steps: 1, step_size: 1}}}, n_steps: 1, warm_up: {steps: 1, accept: 0.5}}
buffer: {augment: {}}
optimizer: {algorithm: {adam: {}}, lr: 1, sam: {rho: 1}}
train: {steps: 1, batch_size: 1}
model:
  name: all
  input: [1]
  normalize: {mean: [0], std: [1]}
  levels: {low: 1, high: 2, form: {input: {data_std: 1}}}
  layers: [conv: {out: 1, kernel: 1, spectral_norm: {}}, linear: {out: 1}, avg_pool: {size: 1}, batch_norm: {},
    residual: {branch: []}, repeat: {times: 1, layers: []}, subsample: {out: 1}, upsample: {factor: 1},
    unflatten: {channels: 1, height: 1, width: 1}, group_norm: {groups: 1}]
";

/// More of what stands in the place of one of several kinds.
const KINDS: &str = "
- {strokes: {}}
- {folder: {path: x}}
- {npy: {images: x}}
";

/// Orders of keys.
pub(super) struct Order(Vec<Vec<String>>);

impl Order {
    /// Those of all sections, as the types write themselves.
    pub(super) fn known(objective: &ObjectiveConfig) -> Self {
        let place = Path::new("the reference");
        let read = |text: &str| yaml::parse(text, place).expect("valid YAML");
        let experiment: Experiment = yaml::typed(read(SECTIONS), place).expect("a valid experiment");
        let sets: Vec<crate::data::Dataset> = yaml::typed(read(KINDS), place).expect("valid data sets");
        let mut order = Self(Vec::new());
        order.collect(&yaml::to_value(&experiment));
        order.collect(&yaml::to_value(&sets));
        order.collect(&yaml::to_value(objective));
        order.collect(&yaml::to_value(&KernelConfig::examples()));
        order.collect(&yaml::to_value(&ModelConfig::examples()));
        order
    }

    fn collect(&mut self, tree: &Value) {
        match tree {
            Value::Sequence(all) => all.iter().for_each(|value| self.collect(value)),
            Value::Mapping(map) => {
                self.0.push(keys(map));
                map.values().for_each(|value| self.collect(value));
            }
            _ => {}
        }
    }

    /// The same keys in the order of the type that has just these; else as they are.
    pub(super) fn of(&self, keys: Vec<String>) -> Vec<String> {
        let all: BTreeSet<&String> = keys.iter().collect();
        let same = self.0.iter().find(|known| known.iter().collect::<BTreeSet<_>>() == all);
        same.cloned().unwrap_or(keys)
    }
}

fn keys(map: &Mapping) -> Vec<String> {
    map.keys().filter_map(Value::as_str).map(str::to_owned).collect()
}
