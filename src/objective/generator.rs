//! A generator of states: a small network from normal latent variables to where chains start.

use tch::{Device, Tensor, no_grad_guard};

use crate::rng::Stream;
use crate::space::Space;

/// States that are drawn together where no gradient is asked for.
const BATCH: i64 = 1000;

/// g(z): layers `W h + b` with silu between them, and a function of the last one's numbers where one
/// is given.
#[derive(Debug)]
pub struct Generator {
    shape: Vec<i64>,
    squashed: bool,
    /// `[out,in]` and `[out]` of each layer.
    layers: Vec<[Tensor; 2]>,
}

impl Generator {
    /// From `latent` numbers over layers of the widths `hidden` to states of `space`; `squashed` ends
    /// in tanh, which keeps every number in (-1, 1).
    ///
    /// Weights start normal with the variance 2 / inputs before a silu and 1 / inputs at the end,
    /// biases at 0. They are drawn on the CPU, so that a seed means the same generator on every device.
    pub fn new(latent: i64, hidden: &[i64], squashed: bool, space: &Space, device: Device, rng: &mut Stream) -> Self {
        let widths: Vec<i64> = widths(latent, hidden, space).collect();
        let last = widths.len() - 2;
        let layer = |(i, pair): (usize, &[i64])| {
            let gain: f64 = if i == last { 1.0 } else { 2.0 };
            let weight = rng.normal(&[pair[1], pair[0]], Device::Cpu) * (gain / pair[0] as f64).sqrt();
            let weight = weight.to_device(device);
            let bias = weight.new_zeros([pair[1]], (weight.kind(), device));
            [weight, bias].map(|t| t.set_requires_grad(true))
        };
        Self {
            shape: space.shape.clone(),
            squashed,
            layers: widths.windows(2).enumerate().map(layer).collect(),
        }
    }

    /// `n` latent vectors, `[n, latent]`.
    pub fn latents(&self, n: i64, rng: &mut Stream) -> Tensor {
        let first = &self.layers[0][0];
        rng.normal(&[n, first.size()[1]], first.device())
    }

    /// g(z) of latent vectors `[n, latent]`: `[n,..]`, with a graph behind it.
    pub fn states(&self, z: &Tensor) -> Tensor {
        let mut x = z.shallow_clone();
        for (i, [weight, bias]) in self.layers.iter().enumerate() {
            let inner = if i == 0 { x } else { x.silu() };
            x = inner.linear(weight, Some(bias));
        }
        let x = if self.squashed { x.tanh() } else { x };
        let size: Vec<i64> = std::iter::once(-1).chain(self.shape.iter().copied()).collect();
        x.view(&size[..])
    }

    /// g(z) cut off from any graph, in memory of its own.
    pub fn starts(&self, z: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        let parts: Vec<Tensor> = z.split(BATCH, 0).iter().map(|part| self.states(part)).collect();
        Tensor::cat(&parts, 0)
    }

    /// `n` states of fresh latent vectors, `[n,..]`, without a graph.
    pub fn draw(&self, n: i64, rng: &mut Stream) -> Tensor {
        self.starts(&self.latents(n, rng))
    }

    /// Its parameters by name, shared, not copied.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |(i, [weight, bias]): (usize, &[Tensor; 2])| {
            [("weight", weight), ("bias", bias)].map(|(what, t)| (format!("{i}.{what}"), t.shallow_clone()))
        };
        self.layers.iter().enumerate().flat_map(named).collect()
    }

    /// The same generator, its parameters shared.
    pub fn shared(&self) -> Self {
        let share = |layer: &[Tensor; 2]| layer.each_ref().map(Tensor::shallow_clone);
        Self {
            shape: self.shape.clone(),
            squashed: self.squashed,
            layers: self.layers.iter().map(share).collect(),
        }
    }
}

/// The widths of a generator from its latent numbers to those of a state.
pub fn widths(latent: i64, hidden: &[i64], space: &Space) -> impl Iterator<Item = i64> {
    let state = space.shape.iter().product();
    std::iter::once(latent).chain(hidden.to_vec()).chain([state])
}
