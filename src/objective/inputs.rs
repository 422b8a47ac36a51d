//! The tensors that a step learns from, by name.

use tch::Tensor;

/// The names of what a step gathers for any term that asks for it.
pub mod name {
    /// A batch of data, `[B,..]`.
    pub const DATA: &str = "data";
    /// Labelled states, `[b,..]`.
    pub const LABELLED: &str = "labelled";
    /// The classes of labelled states, i64 `[b]`.
    pub const LABELS: &str = "labels";
    /// Where chains ended, `[B,..]`.
    pub const NEGATIVES: &str = "negatives";
    /// The classes that chains kept, i64 `[B]`.
    pub const KEPT_CLASSES: &str = "kept classes";
    /// Standard Gumbel noise that draws the classes of chains where they ended, `[B,K]`.
    pub const CLASS_NOISE: &str = "class noise";
    /// Mean norm of the gradients along the chains, `[]`.
    pub const CHAIN_GRAD_NORM: &str = "chain_grad_norm";
    /// Mean acceptance along the chains, `[]`.
    pub const ACCEPTANCE: &str = "acceptance";
    /// The chains before their last step, `[B,..]`.
    pub const BEFORE_LAST: &str = "before last";
    /// Standard normal noise of their last step, taken again, `[B,..]`.
    pub const LAST_NOISE: &str = "last noise";
    /// Other chains of the replay buffer, `[M,..]`.
    pub const NEIGHBOURS: &str = "neighbours";
}

/// Tensors by name: the same names and shapes at every step with the same terms.
#[derive(Debug, Default)]
pub struct Inputs(Vec<(&'static str, Tensor)>);

impl Inputs {
    /// Adds a tensor under a name of its own.
    pub fn put(&mut self, name: &'static str, tensor: Tensor) {
        self.0.push((name, tensor));
    }

    /// The tensor of that name, where there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, tensor)| tensor)
    }

    /// The tensor of that name.
    ///
    /// # Panics
    /// Where there is none: a term reads what it has asked for.
    pub fn of(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("a step gathered no `{name}`"))
    }

    /// Names and shapes: what tells steps apart for which other work is done.
    pub fn shapes(&self) -> Vec<(&'static str, Vec<i64>)> {
        self.0.iter().map(|(name, tensor)| (*name, tensor.size())).collect()
    }

    /// The same in memory of its own.
    pub fn copy(&self) -> Self {
        Self(self.0.iter().map(|(name, tensor)| (*name, tensor.copy())).collect())
    }

    /// Copies inputs of the same names and shapes into this memory.
    pub fn take_from(&self, other: &Self) {
        for ((_, own), (_, new)) in self.0.iter().zip(&other.0) {
            own.shallow_clone().copy_(new);
        }
    }
}
