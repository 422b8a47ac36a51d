//! Writes out the layers of `repeat`, so that whatever follows meets plain layers only.

use super::builder::Builder;
use super::config::Layer;
use crate::error::Result;

/// More layers in a row than any network has.
const MOST_LAYERS: usize = 10_000;

/// A layer and where it stands in the file, such as `layers[3].repeat.layers[0]`.
pub(super) struct Written<'a> {
    pub key: String,
    pub layer: &'a Layer,
}

impl Builder<'_> {
    /// The layers of a list, each repetition in its place.
    pub(super) fn written_out<'a>(&self, layers: &'a [Layer], key: &str) -> Result<Vec<Written<'a>>> {
        let mut out = Vec::with_capacity(layers.len());
        for (i, layer) in layers.iter().enumerate() {
            let key = format!("{key}[{i}]");
            let Layer::Repeat(repeat) = layer else {
                out.push(Written { key, layer });
                continue;
            };
            let key = format!("{key}.repeat");
            let expected = "a whole number of 1 or more that leaves at most 10,000 layers in a row";
            let times = format!("{key}.times");
            self.ensure(repeat.times >= 1, &times, repeat.times, expected)?;
            let inner = format!("{key}.layers");
            self.ensure(!repeat.layers.is_empty(), &inner, "an empty list", "at least one layer")?;
            for _ in 0..repeat.times {
                out.extend(self.written_out(&repeat.layers, &inner)?);
                self.ensure(out.len() <= MOST_LAYERS, &times, repeat.times, expected)?;
            }
        }
        Ok(out)
    }
}
