//! A set of images that lies on the device as u8, with its labels.

use tch::{Device, Kind, Tensor};

use super::config::Augment;
use super::{augment, draw, to_unit};
use crate::error::Result;
use crate::rng::Stream;

/// Images, or points, of one shape on one device, with class numbers where there are any.
#[derive(Debug)]
pub struct Images {
    /// u8 `[N,C,H,W]` of images, f32 `[N,D]` of points.
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

    /// The shape of one: channels, height and width, or `[D]` of a point.
    pub fn shape(&self) -> Vec<i64> {
        self.pixels.size()[1..].to_vec()
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

    /// At most `limit` images, drawn by `seed`, each class by its share; all of them where no limit
    /// applies.
    ///
    /// # Errors
    /// When LibTorch cannot copy the labels to the host.
    pub fn sampled(&self, limit: Option<usize>, seed: u64) -> Result<Self> {
        Ok(match self.drawn(limit, seed)? {
            Some(at) => self.select(&Tensor::from_slice(&at)),
            None => self.shallow_clone(),
        })
    }

    /// The sorted indices that [`sampled`](Self::sampled) takes; none where no limit applies.
    pub(super) fn drawn(&self, limit: Option<usize>, seed: u64) -> Result<Option<Vec<i64>>> {
        let Some(count) = limit.filter(|n| (*n as i64) < self.len()) else {
            return Ok(None);
        };
        let labels = match &self.labels {
            Some(labels) => Vec::<i64>::try_from(labels.to_device(Device::Cpu))?,
            None => vec![0; self.len() as usize],
        };
        Ok(Some(draw::indices(&labels, count, seed)))
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
