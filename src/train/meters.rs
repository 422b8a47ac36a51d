//! Means of what a person watches, summed on the device between two lines of metrics.

use tch::{Device, Kind, Tensor};

use crate::objective::{Quantity, Terms};

/// Sums on the device; reading them is the only transfer to the host.
pub struct Meters {
    quantities: Vec<Quantity>,
    sums: Tensor,
    counts: Counts,
}

/// How many steps were summed, and how many of them ran chains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub steps: u64,
    /// Those with chains.
    pub chains: u64,
}

/// The quantities of a step, in the order in which they are summed: energies come first.
fn quantities(terms: &Terms, of_chains: &[&'static str]) -> Vec<Quantity> {
    let own = terms.quantities();
    let (energies, others): (Vec<Quantity>, _) = own.into_iter().partition(|q| q.name.starts_with("energy_"));
    let mut all = vec![Quantity::always("energy_pos", "")];
    all.extend(energies.into_iter().filter(|q| q.name != "energy_pos"));
    all.extend(["loss", "grad_norm"].map(|name| Quantity::always(name, "")));
    all.extend(of_chains.iter().map(|name| Quantity::of_chains(name, "")));
    all.extend(others);
    all
}

impl Meters {
    /// Nothing summed yet, of the quantities of the terms and of those that chains have.
    pub fn new(terms: &Terms, of_chains: &[&'static str], device: Device) -> Self {
        let quantities = quantities(terms, of_chains);
        Self {
            sums: Tensor::zeros([quantities.len() as i64], (Kind::Double, device)),
            quantities,
            counts: Counts::default(),
        }
    }

    /// Counts a step, on the host; [`add`](Self::add) follows.
    pub fn count(&mut self, with_chains: bool) {
        self.counts.steps += 1;
        self.counts.chains += u64::from(with_chains);
    }

    /// Adds one step's numbers, scalar tensors by name, to the sums where they lie on the device; those of other names are
    /// passed over.
    ///
    /// # Panics
    /// If one of the quantities is missing, but for those of chains in a step `with_chains` false.
    pub fn add(&mut self, values: &[(&'static str, Tensor)], with_chains: bool) {
        let zero = self.sums.new_zeros([], (Kind::Double, self.sums.device()));
        let value = |q: &Quantity| match values.iter().find(|(name, _)| *name == q.name) {
            Some((_, value)) => value.detach().to_kind(Kind::Double),
            None if q.of_chains && !with_chains => zero.shallow_clone(),
            None => panic!("a step gave no {}", q.name),
        };
        let row: Vec<Tensor> = self.quantities.iter().map(value).collect();
        let _ = self.sums.g_add_(&Tensor::stack(&row, 0));
    }

    /// The means since the last reading, by name, of what there was; starts anew.
    pub fn read(&mut self) -> Vec<(&'static str, f64)> {
        let sums = Vec::<f64>::try_from(&self.sums).expect("a vector of numbers");
        let counts = std::mem::take(&mut self.counts);
        let _ = self.sums.zero_();
        let count = |q: &Quantity| if q.of_chains { counts.chains } else { counts.steps };
        let means = self.quantities.iter().zip(sums);
        let there = means.filter(|(q, _)| count(q) > 0);
        there.map(|(q, sum)| (q.name, sum / count(q) as f64)).collect()
    }

    /// The sums and their counts, for a checkpoint.
    pub fn state(&self) -> (Tensor, Counts) {
        (self.sums.copy(), self.counts)
    }

    /// Goes on from saved sums.
    pub fn restore(&mut self, sums: &Tensor, counts: Counts) {
        self.sums.copy_(sums);
        self.counts = counts;
    }
}
