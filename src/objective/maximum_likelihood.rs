//! Maximum likelihood with synthesised images in the place of the model's expectation.

use tch::{Kind, Tensor};

use super::config::ObjectiveConfig;

/// A loss to differentiate and the energies behind it; all scalars on the device.
#[derive(Debug)]
pub struct LossOutput {
    /// What is minimised, `[]`.
    pub loss: Tensor,
    /// Mean energy of data, `[]`, detached.
    pub energy_pos: Tensor,
    /// Mean energy of synthesised images, `[]`, detached.
    pub energy_neg: Tensor,
}

/// mean E(x+) - mean E(x-) + energy_reg (mean E(x+)^2 + mean E(x-)^2).
///
/// Without the last term its gradient is that of the minus log likelihood, up to T, if x- are samples of the model
/// (Hinton 2002); with it energies stay near 0 (Du & Mordatch 2019).
#[derive(Debug, Clone)]
pub struct MaximumLikelihood {
    energy_reg: f64,
}

impl MaximumLikelihood {
    /// The objective of a configuration.
    pub fn new(cfg: &ObjectiveConfig) -> Self {
        Self {
            energy_reg: cfg.energy_reg,
        }
    }

    /// The loss from energies of data and of synthesised images, `[B]` each; the batches may differ in size.
    pub fn loss(&self, energy_pos: &Tensor, energy_neg: &Tensor) -> LossOutput {
        let (pos, neg) = (energy_pos.mean(Kind::Float), energy_neg.mean(Kind::Float));
        let mut loss = &pos - &neg;
        if self.energy_reg > 0.0 {
            let squares = energy_pos.square().mean(Kind::Float) + energy_neg.square().mean(Kind::Float);
            loss += squares * self.energy_reg;
        }
        LossOutput {
            loss,
            energy_pos: pos.detach(),
            energy_neg: neg.detach(),
        }
    }
}
