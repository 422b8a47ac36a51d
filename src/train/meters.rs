//! Means of what a person watches, summed on the device between two lines of metrics.

use tch::{Device, Kind, Tensor};

use crate::config::ObjectiveConfig;

/// Sums on the device; reading them is the only transfer to the host.
pub struct Meters {
    names: Vec<&'static str>,
    sums: Tensor,
    count: u64,
}

/// The quantities of a step of this objective, in the order in which they are summed.
pub fn names(objective: &ObjectiveConfig) -> Vec<&'static str> {
    let mut names = vec!["energy_pos"];
    let mut add = |holds: bool, more: &[&'static str]| {
        if holds {
            names.extend_from_slice(more);
        }
    };
    add(objective.p_x_weight > 0.0, &["energy_neg"]);
    add(true, &["loss", "grad_norm"]);
    add(
        objective.uses_chains(),
        &["chain_grad_norm", "buffer_age", "buffer_reuse"],
    );
    add(objective.p_y_given_x_weight > 0.0, &["cross_entropy"]);
    add(objective.uses_labels(), &["accuracy"]);
    add(objective.p_x_y_weight > 0.0, &["joint_energy_pos", "joint_energy_neg"]);
    add(objective.kl_weight > 0.0, &["kl"]);
    add(objective.entropy_weight > 0.0, &["entropy"]);
    names
}

impl Meters {
    /// Nothing summed yet, of the quantities of an objective.
    pub fn new(objective: &ObjectiveConfig, device: Device) -> Self {
        let names = names(objective);
        Self {
            sums: Tensor::zeros([names.len() as i64], (Kind::Double, device)),
            names,
            count: 0,
        }
    }

    /// Adds one step's numbers, scalar tensors by name; those of other names are passed over.
    ///
    /// # Panics
    /// If one of the quantities is missing.
    pub fn add(&mut self, values: &[(&'static str, Tensor)]) {
        let value = |name: &&str| {
            let found = values.iter().find(|(n, _)| n == name);
            let (_, value) = found.unwrap_or_else(|| panic!("a step gave no {name}"));
            value.detach().to_kind(Kind::Double)
        };
        let row: Vec<Tensor> = self.names.iter().map(value).collect();
        self.sums += Tensor::stack(&row, 0);
        self.count += 1;
    }

    /// The means since the last reading, by name; starts anew.
    pub fn read(&mut self) -> Vec<(&'static str, f64)> {
        let sums = Vec::<f64>::try_from(&self.sums).expect("a vector of numbers");
        let count = self.count.max(1) as f64;
        let _ = self.sums.zero_();
        self.count = 0;
        let means = sums.into_iter().map(|s| s / count);
        self.names.iter().copied().zip(means).collect()
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
