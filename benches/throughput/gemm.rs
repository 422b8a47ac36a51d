//! The machine's own rate of matrix products, which the networks' rates are held against.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use crate::machine;

/// Square products of several sizes in one precision, timed again and again.
pub struct Gemm {
    kind: Kind,
    device: Device,
    products: Vec<Product>,
}

/// A product of two matrices of one size.
struct Product {
    size: i64,
    factor: Tensor,
    out: Tensor,
    /// FLOP/s, one value each time.
    rates: Vec<f64>,
}

impl Gemm {
    pub fn new(kind: Kind, device: Device) -> Self {
        let sizes: [i64; 3] = match device.is_cuda() {
            true => [2048, 4096, 8192],
            false => [512, 1024, 2048],
        };
        let product = |size| {
            let factor = Tensor::ones([size, size], (kind, device));
            // Loads libraries and touches the memory.
            let out = factor.matmul(&factor);
            let rates = Vec::new();
            Product {
                size,
                factor,
                out,
                rates,
            }
        };
        Self {
            kind,
            device,
            products: sizes.map(product).into(),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Times every size once more.
    pub fn measure(&mut self) {
        let largest = self.products.last().map_or(0, |p| p.size);
        for p in &mut self.products {
            // The small ones often enough that the clock's own time does not show.
            let times = (largest / p.size).pow(2);
            machine::synchronize(self.device);
            let clock = Instant::now();
            (0..times).for_each(|_| drop(p.factor.matmul_out(&p.out, &p.factor)));
            machine::synchronize(self.device);
            let flops = (2 * p.size.pow(3) * times) as f64;
            p.rates.push(flops / clock.elapsed().as_secs_f64());
        }
    }

    /// The best size's median rate, FLOP/s.
    pub fn rate(&self) -> f64 {
        let medians = self.products.iter().map(|p| machine::median(&p.rates));
        medians.fold(0.0, f64::max)
    }
}
