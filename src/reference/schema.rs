//! JSON Schemas of the files that a person writes, from the types that read them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::experiment::Experiment;
use crate::models::ModelConfig;

/// Of experiment files.
pub(super) fn experiment() -> Value {
    titled::<Experiment>("An experiment file of deep-ebm")
}

/// Of files of a model.
pub(super) fn model() -> Value {
    titled::<ModelConfig>("A model's file of deep-ebm")
}

fn titled<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema.to_value()
}
