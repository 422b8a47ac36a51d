//! A set of images that lies on the device as u8, with its labels.

use tch::{Device, Kind, Tensor};

use super::{augment, to_unit};
use crate::config::Augment;
use crate::rng::Stream;

/// Images of one shape on one device, with class numbers where there are any.
#[derive(Debug)]
pub struct Images {
    /// u8 `[N,C,H,W]`.
    pub pixels: Tensor,
    /// i64 `[N]`, in `0..classes.len()`.
    pub labels: Option<Tensor>,
    /// The names of the classes; empty without labels.
    pub classes: Vec<String>,
}

impl Images {
    /// Images without labels.
    pub fn unlabelled(pixels: Tensor) -> Self {
        Self {
            pixels,
            labels: None,
            classes: Vec::new(),
        }
    }

    /// How many images.
    pub fn len(&self) -> i64 {
        self.pixels.size()[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [i64; 3] {
        let s = self.pixels.size();
        [s[1], s[2], s[3]]
    }

    /// Where the images lie.
    pub fn device(&self) -> Device {
        self.pixels.device()
    }

    /// The same images by reference; nothing is copied.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// The same images on `device`.
    pub fn to_device(&self, device: Device) -> Self {
        self.map(|t| t.to_device(device))
    }

    /// The images at the indices `at`, i64 `[n]` on any device; a copy.
    pub fn select(&self, at: &Tensor) -> Self {
        let at = at.to_device(self.device());
        self.map(|t| t.index_select(0, &at))
    }

    /// The first `n` images, or all where there are fewer; the rest is freed with `self`.
    pub fn first(&self, n: i64) -> Self {
        if n >= self.len() {
            return self.shallow_clone();
        }
        self.map(|t| t.narrow(0, 0, n).copy())
    }

    /// At most `n` images, spread evenly over all.
    pub fn spread(&self, n: i64) -> Self {
        let count = self.len();
        if n >= count {
            return self.shallow_clone();
        }
        self.select(&Tensor::from_slice(&(0..n).map(|i| i * count / n).collect::<Vec<_>>()))
    }

    /// f32 `[n,C,H,W]` in [-1, 1] of the images at the indices `at` (i64 `[n]`, on the images' device).
    pub fn normalized(&self, at: &Tensor) -> Tensor {
        to_unit(&self.pixels.index_select(0, at))
    }

    /// f32 `[n,C,H,W]` in [-1, 1] of the images at the indices `at`, randomly changed.
    pub fn augmented(&self, at: &Tensor, changes: &Augment, rng: &mut Stream) -> Tensor {
        augment(&self.pixels.index_select(0, at), changes, rng)
    }

    /// The labels at the indices `at`, i64 `[n]`.
    pub fn labels_at(&self, at: &Tensor) -> Option<Tensor> {
        self.labels.as_ref().map(|labels| labels.index_select(0, at))
    }

    /// f32 `[at most n,C,H,W]` in [-1, 1] of the images from number `from` on.
    pub fn chunk(&self, from: i64, n: i64) -> Tensor {
        let n = n.min(self.len() - from).max(0);
        to_unit(&self.pixels.narrow(0, from, n))
    }

    /// f32 `[n,C,H,W]` in [-1, 1] of `n` images drawn with replacement.
    pub fn random(&self, n: i64, rng: &mut Stream) -> Tensor {
        self.normalized(&rng.integers(self.len(), n, self.device()))
    }

    /// No image of the same shape, device and classes.
    pub(super) fn none_like(&self) -> Self {
        self.map(|t| t.narrow(0, 0, 0).copy())
    }

    /// An empty set of a shape.
    pub(super) fn none(shape: [i64; 3], device: Device) -> Self {
        let [c, h, w] = shape;
        Self::unlabelled(Tensor::empty([0, c, h, w], (Kind::Uint8, device)))
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            pixels: f(&self.pixels),
            labels: self.labels.as_ref().map(&f),
            classes: self.classes.clone(),
        }
    }
}
