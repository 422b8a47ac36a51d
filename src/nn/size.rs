//! Bounds of an architecture: its tensors, and an image at each of its layers, must fit into
//! memory.
//!
//! Every sum is checked before a tensor is made, so no product of a file's numbers overflows.

use super::builder::{Builder, shape_text};
use crate::error::{Error, Result};
use crate::memory;

/// More layers than any network has, those inside of others counted too.
const MOST_LAYERS: usize = 20_000;

/// Bytes of a number, f32.
const NUMBER: u64 = 4;

/// How many numbers a tensor of this shape holds; beyond `u64`, the largest count.
pub(super) fn count(shape: &[i64]) -> u64 {
    let sides: Vec<u64> = shape.iter().map(|n| u64::try_from(*n).unwrap_or(0)).collect();
    memory::product(&sides)
}

impl Builder<'_> {
    /// Counts a layer; refuses one too many, as nested repeats can ask for.
    pub(super) fn count_layer(&mut self, key: &str) -> Result<()> {
        self.layers += 1;
        let expected = format!("at most {MOST_LAYERS} layers in all");
        self.ensure(
            self.layers <= MOST_LAYERS,
            key,
            format!("layer {}", self.layers),
            &expected,
        )
    }

    /// Refuses a shape of which memory does not hold a single image.
    pub(super) fn check_image(&self, key: &str, shape: &[i64]) -> Result<()> {
        let bytes = count(shape).saturating_mul(NUMBER);
        match bytes <= memory::available() {
            true => Ok(()),
            false => Err(self.too_large(key, &format!("an image of {} here", shape_text(shape)), bytes)),
        }
    }

    /// Adds a tensor to those of the network; refuses it where memory does not hold them all.
    pub(super) fn reserve(&mut self, key: &str, shape: &[i64]) -> Result<()> {
        self.bytes = self.bytes.saturating_add(count(shape).saturating_mul(NUMBER));
        match self.bytes <= memory::available() {
            true => Ok(()),
            false => {
                let what = format!("a tensor of {}, with those before it,", shape_text(shape));
                Err(self.too_large(key, &what, self.bytes))
            }
        }
    }

    /// The sides of an image with zeroes around it.
    pub(super) fn padded(&self, key: &str, sides: [i64; 2], padding: i64) -> Result<[i64; 2]> {
        let add = |side: i64| padding.checked_mul(2)?.checked_add(side);
        match sides.map(add) {
            [Some(height), Some(width)] => {
                self.check_image(key, &[height, width])?;
                Ok([height, width])
            }
            _ => Err(self.too_large(key, &format!("a padding of {padding}"), u64::MAX)),
        }
    }

    fn too_large(&self, key: &str, what: &str, bytes: u64) -> Error {
        let (needed, there) = (memory::words(bytes), memory::words(memory::available()));
        let what = format!("{what} takes {needed} of memory, and {there} are available");
        self.fault(key, what, "give smaller numbers here or in the layers before")
    }
}
