//! Sharpness-aware minimisation: a step's gradient is taken uphill of the weights, and applied to the weights themselves.

use tch::{Tensor, no_grad_guard};

use super::config::SamConfig;

/// Keeps a vanishing gradient from dividing by 0, as the published codes do.
const LEAST_NORM: f64 = 1e-12;

/// Moves parameters to w + e and back (Foret et al. 2021; adaptive: Kwon et al. 2021).
///
/// A step: gradients at w, [`climb`](Self::climb), gradients at w + e (set to 0 before), [`descend`](Self::descend),
/// then the optimiser's own step. Nothing reads back to the host; nothing outlives a step, so a checkpoint needs none of
/// it.
#[derive(Debug)]
pub struct Sam {
    rho: f64,
    adaptive: bool,
    params: Vec<Tensor>,
    /// The weights that the last climb left.
    saved: Vec<Tensor>,
}

impl Sam {
    /// For `params`, which share one kind and one device with each other and their memory with the network.
    pub fn new(cfg: &SamConfig, params: &[(String, Tensor)]) -> Self {
        let _guard = no_grad_guard();
        let params: Vec<Tensor> = params.iter().map(|(_, p)| p.shallow_clone()).collect();
        Self {
            rho: cfg.rho,
            adaptive: cfg.adaptive,
            saved: params.iter().map(|p| p.detach().copy()).collect(),
            params,
        }
    }

    /// Moves every parameter that has a gradient g to w + e, and keeps w.
    ///
    /// e = rho g / (|g| + 1e-12), or rho w^2 g / (| |w| g | + 1e-12) if adaptive; norms are over all parameters.
    pub fn climb(&mut self) {
        let _guard = no_grad_guard();
        for (saved, p) in self.saved.iter_mut().zip(&self.params) {
            saved.copy_(p);
        }
        let grads: Vec<Tensor> = self.params.iter().map(Tensor::grad).collect();
        let Some(norm) = self.norm(&grads) else {
            return;
        };
        let factor = (norm + LEAST_NORM).reciprocal() * self.rho;
        for ((p, w), g) in self.params.iter_mut().zip(&self.saved).zip(&grads) {
            if !g.defined() {
                continue;
            }
            let _ = match self.adaptive {
                false => p.addcmul_(g, &factor),
                true => p.addcmul_(&(w.square() * g), &factor),
            };
        }
    }

    /// Puts the weights back that the climb left, bit for bit; gradients stay those at w + e.
    pub fn descend(&mut self) {
        let _guard = no_grad_guard();
        for (p, w) in self.params.iter_mut().zip(&self.saved) {
            p.copy_(w);
        }
    }

    /// |g|, or | |w| g | if adaptive, over all parameters; nothing where no parameter has a gradient.
    fn norm(&self, grads: &[Tensor]) -> Option<Tensor> {
        let pairs = self.saved.iter().zip(grads).filter(|(_, g)| g.defined());
        let norms: Vec<Tensor> = pairs
            .map(|(w, g)| if self.adaptive { (w * g).norm() } else { g.norm() })
            .collect();
        (!norms.is_empty()).then(|| Tensor::stack(&norms, 0).norm())
    }
}
