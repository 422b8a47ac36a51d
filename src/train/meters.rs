//! Means of what a person watches, summed on the device between two lines of metrics.

use tch::{Device, Kind, Tensor};

/// The quantities, in the order in which they are summed.
pub const NAMES: [&str; 7] = [
    "energy_pos",
    "energy_neg",
    "loss",
    "grad_norm",
    "chain_grad_norm",
    "buffer_age",
    "buffer_reuse",
];

/// Sums on the device; reading them is the only transfer to the host.
pub struct Meters {
    sums: Tensor,
    count: u64,
}

impl Meters {
    /// Nothing summed yet.
    pub fn new(device: Device) -> Self {
        Self {
            sums: Tensor::zeros([NAMES.len() as i64], (Kind::Double, device)),
            count: 0,
        }
    }

    /// Adds one step's numbers, scalar tensors in the order of [`NAMES`].
    pub fn add(&mut self, values: [&Tensor; NAMES.len()]) {
        let row: Vec<Tensor> = values.iter().map(|v| v.detach().to_kind(Kind::Double)).collect();
        self.sums += Tensor::stack(&row, 0);
        self.count += 1;
    }

    /// The means since the last reading, in the order of [`NAMES`]; starts anew.
    pub fn read(&mut self) -> Vec<f64> {
        let sums = Vec::<f64>::try_from(&self.sums).expect("a vector of numbers");
        let count = self.count.max(1) as f64;
        let _ = self.sums.zero_();
        self.count = 0;
        sums.into_iter().map(|s| s / count).collect()
    }

    /// The sums and their count, for a checkpoint.
    pub fn state(&self) -> (Tensor, u64) {
        (self.sums.copy(), self.count)
    }

    /// Goes on from saved sums.
    pub fn restore(&mut self, sums: &Tensor, count: u64) {
        self.sums.copy_(sums);
        self.count = count;
    }
}
