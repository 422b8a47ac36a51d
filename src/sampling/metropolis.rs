//! What kernels that reject share: a look at the energy, and the test of a proposal.

use tch::Tensor;

use super::kernel::{ChainState, StepInfo};
use crate::energy::{Energy, EnergyGrad, energy_and_grad};
use crate::rng::Stream;
use crate::space::{each, norms};

/// Energies and gradients at `x`.
///
/// For an energy that draws in a pass, `rng` seeds before it, so that a chain can be repeated.
pub(super) fn look(energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> EnergyGrad {
    if energy.draws() {
        rng.seed_next();
    }
    energy_and_grad(energy, x)
}

/// Energies alone, `[B]`.
pub(super) fn level(energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> Tensor {
    let _guard = tch::no_grad_guard();
    if energy.draws() {
        rng.seed_next();
    }
    energy.energy(x)
}

/// Which proposals are taken (bool `[B]`), and with which probability each (`[B]`): the test of
/// Metropolis et al. (1953) and Hastings (1970), min(1, exp(log_ratio)).
///
/// A ratio that is no number refuses the proposal.
pub(super) fn test(log_ratio: &Tensor, rng: &mut Stream) -> (Tensor, Tensor) {
    let log_ratio = log_ratio.nan_to_num(f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY);
    let probability = log_ratio.clamp_max(0.0).exp();
    let u = rng.uniform(&probability.size(), 0.0, 1.0, probability.device());
    (u.less_tensor(&probability), probability)
}

/// Chains at `x` with energies and gradients there, as kernels that carry both start.
pub(super) fn started(energy: &dyn Energy, x: &Tensor, rng: &mut Stream) -> ChainState {
    let mut state = ChainState::new(x);
    let at_x = look(energy, &state.x, rng);
    (state.energy, state.grad) = (Some(at_x.energy), Some(at_x.grad));
    state
}

/// Takes out of a state what it carries, or finds it where nothing holds any more.
pub(super) fn carried(energy: &dyn Energy, s: &mut ChainState, rng: &mut Stream) -> EnergyGrad {
    match (s.energy.take(), s.grad.take()) {
        (Some(energy), Some(grad)) => EnergyGrad { energy, grad },
        _ => look(energy, &s.x, rng),
    }
}

/// The state after the test of the proposals `y`, with what is carried on and told.
pub(super) fn moved(
    mut s: ChainState,
    at_x: &EnergyGrad,
    (y, at_y): (&Tensor, &EnergyGrad),
    (taken, probability): (Tensor, Tensor),
) -> (ChainState, StepInfo) {
    s.x = choose(&taken, y, &s.x);
    let energy = choose(&taken, &at_y.energy, &at_x.energy);
    let grad = choose(&taken, &at_y.grad, &at_x.grad);
    s.step += 1;
    let info = StepInfo {
        accept_prob: Some(probability),
        grad_norm: Some(norms(&grad)),
        energy: Some(energy.shallow_clone()),
        ..StepInfo::default()
    };
    (s.energy, s.grad) = (Some(energy), Some(grad));
    (s, info)
}

/// Row by row, `new` where it is taken, else `old`.
pub(super) fn choose(taken: &Tensor, new: &Tensor, old: &Tensor) -> Tensor {
    new.where_self(&each(taken, new), old)
}
