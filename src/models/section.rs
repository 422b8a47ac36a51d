//! The `model` section of a file: a network as it stands, or another model by the name of its kind.

use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_yaml::Value;
use tch::Device;

use super::OtherModel;
use super::contract::{Model, ModelSpec};
use crate::config::yaml;
use crate::error::{Error, Result};
use crate::nn::{Layer, NetworkConfig, Summary};
use crate::rng::Stream;
use crate::space::Space;

/// The model of an experiment, or of a file of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// A network, as an architecture file has it.
    Network(NetworkConfig),
    /// A model of another kind.
    Other(OtherModel),
}

impl ModelConfig {
    fn spec(&self) -> &dyn ModelSpec {
        match self {
            Self::Network(network) => network,
            Self::Other(other) => other.spec(),
        }
    }

    /// Every kind of model, with numbers for points in the plane.
    pub fn examples() -> Vec<Self> {
        let network = Self::Network(NetworkConfig::example());
        let others = OtherModel::examples().into_iter().map(Self::Other);
        std::iter::once(network).chain(others).collect()
    }

    /// Whether a file that was read is of a model, and no experiment.
    pub fn is_in(tree: &Value) -> bool {
        let kind = |key: &Value| key.as_str().is_some_and(is_kind);
        let keys = tree.as_mapping().into_iter().flat_map(|map| map.keys());
        tree.get("layers").is_some() || keys.take(1).any(kind)
    }

    /// What the model is called.
    pub fn name(&self) -> &str {
        self.spec().name()
    }

    /// The shape of a state: channels, height and width of an image, or `[D]` of a point.
    pub fn input(&self) -> &[i64] {
        self.spec().input()
    }

    /// The states that the model is a function of, with the values that their shape stands for.
    pub fn space(&self) -> Space {
        Space::of(self.input())
    }

    /// Channels, height and width of an image.
    ///
    /// # Errors
    /// The states are no images.
    pub fn image(&self) -> Result<[i64; 3]> {
        self.space().image().ok_or_else(|| {
            Error::input(
                format!("model `{}`", self.name()),
                format!(
                    "its states are of shape {:?}, and this is about images [channels, height, width]",
                    self.input()
                ),
                "use it with a model of images",
            )
        })
    }

    /// Whether it gives logits, a number a class.
    pub fn has_classes(&self) -> bool {
        self.spec().has_classes()
    }

    /// Whether it computes in bf16 and channels-last, beside f32 and contiguous.
    pub fn has_forms(&self) -> bool {
        self.spec().has_forms()
    }

    /// Whether E(x,y) and E(x) are the same, because there is one class alone.
    pub fn has_one_class(&self) -> bool {
        let last = self.as_network().and_then(|network| network.layers.last());
        self.has_classes() && matches!(last, Some(Layer::Linear(last)) if last.out == 1)
    }

    /// The network, where the model is one.
    pub fn as_network(&self) -> Option<&NetworkConfig> {
        match self {
            Self::Network(network) => Some(network),
            Self::Other(_) => None,
        }
    }

    /// Its tensors and costs, found without making a tensor.
    ///
    /// # Errors
    /// A number out of range, or layers that do not fit, with `file` and the key below the model.
    pub fn describe(&self, file: &Path) -> Result<Summary> {
        self.spec().describe(file)
    }

    /// What the model is a function to, for people.
    pub fn words(&self) -> String {
        self.spec().words()
    }

    /// A model with fresh parameters, drawn from `rng`.
    ///
    /// # Errors
    /// Those of [`describe`](Self::describe), with the model's name in place of the file.
    pub fn build(&self, device: Device, rng: &mut Stream) -> Result<Box<dyn Model>> {
        self.spec().build(device, rng)
    }
}

impl Serialize for ModelConfig {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Network(network) => network.serialize(to),
            Self::Other(other) => other.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for ModelConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(OfModel)
    }
}

/// Reads a model by its first key: the word of a kind, or a key of a network.
struct OfModel;

impl<'de> Visitor<'de> for OfModel {
    type Value = ModelConfig;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "a model: a network with its layers, or one of {} with its keys",
            kinds().join(", ")
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<ModelConfig, A::Error> {
        let first: Option<String> = map.next_key()?;
        if let Some(first) = &first {
            ensure_known(first)?;
        }
        let kind = first.clone().filter(|word| is_kind(word));
        let mut whole = Peeked { first, map };
        let Some(kind) = kind else {
            return NetworkConfig::deserialize(MapAccessDeserializer::new(&mut whole)).map(ModelConfig::Network);
        };
        let other = OtherModel::deserialize(MapAccessDeserializer::new(&mut whole))?;
        match whole.map.next_key::<String>()? {
            Some(more) => Err(de::Error::custom(format!(
                "unknown field `{more}`, expected one of `{kind}`"
            ))),
            None => Ok(ModelConfig::Other(other)),
        }
    }
}

/// The words of all kinds.
fn kinds() -> Vec<String> {
    OtherModel::examples().iter().map(OtherModel::word).collect()
}

/// Whether a word names a kind of model.
fn is_kind(word: &str) -> bool {
    kinds().iter().any(|kind| kind == word)
}

/// Refuses a first key that neither a network nor the word of a kind begins with; serde's words, so
/// that the nearest known one is named.
fn ensure_known<E: de::Error>(first: &str) -> std::result::Result<(), E> {
    let network = yaml::to_value(&NetworkConfig::example());
    let keys = network.as_mapping().into_iter().flat_map(|map| map.keys());
    let mut known: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    known.extend(kinds());
    match known.iter().any(|key| key == first) {
        true => Ok(()),
        false => {
            let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
            let known = known.join(", ");
            Err(E::custom(format!("unknown field `{first}`, expected one of {known}")))
        }
    }
}

/// A mapping whose first key was read, and is read again.
struct Peeked<A> {
    first: Option<String>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut Peeked<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> std::result::Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => seed.deserialize(first.into_deserializer()).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> std::result::Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl JsonSchema for ModelConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModelConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A network as it stands, or a model of another kind by its name.",
            "anyOf": [generator.subschema_for::<NetworkConfig>(), generator.subschema_for::<OtherModel>()]
        })
    }
}
