//! Straight lines from noise to data, and the regression of the energy's gradient on what lies along
//! them: what terms that match a field share.

use tch::{Kind, Tensor};

use super::contract::Passes;
use super::inputs::{Inputs, name};
use crate::energy::energy_and_grad_with_graph;
use crate::rng::Stream;
use crate::space::{each, sum_each};

/// The names under which a term keeps its lines.
pub(super) struct Lines {
    /// Where each line is looked at, (1 - t) noise + t data, `[B,..]`.
    pub at: &'static str,
    /// What the gradient is to be there, `[B,..]`.
    pub target: &'static str,
    /// What the square of a line weighs, `[B]`.
    pub weight: &'static str,
}

impl Lines {
    /// Puts lines that lead from `noise` to the data, each at its time; `along` gives the target in units
    /// of noise - data, and the weight, `[B]` each, of times `[B]`.
    ///
    /// Times are uniform in [0, 1], one in each of as many equal parts as there are lines.
    pub fn put(&self, inputs: &mut Inputs, noise: &Tensor, rng: &mut Stream, along: impl Fn(&Tensor) -> [Tensor; 2]) {
        let x = inputs.of(name::DATA);
        let (n, device) = (x.size()[0], x.device());
        let t = (Tensor::arange(n, (Kind::Float, device)) + rng.uniform(&[n], 0.0, 1.0, device)) / n as f64;
        let [target, weight] = along(&t);
        let back = noise - x;
        let at = x + each(&(t.neg() + 1.0), x) * &back;
        let target = each(&target, x) * back;
        inputs.put(self.at, at);
        inputs.put(self.target, target);
        inputs.put(self.weight, weight);
    }

    /// The energies where lines are looked at, `[B]`, and the weighted mean square, over lines and the
    /// numbers of a state, by which grad E misses the target, `[]`.
    ///
    /// The field is that of E itself, whatever the temperature.
    pub fn miss(&self, passes: &dyn Passes, inputs: &Inputs) -> (Tensor, Tensor) {
        let at = inputs.of(self.at);
        let numbers: i64 = at.size()[1..].iter().product();
        let found = energy_and_grad_with_graph(&*passes.live(), at);
        let squares = sum_each(&(found.grad - inputs.of(self.target)).square()) * inputs.of(self.weight);
        (found.energy.detach(), squares.mean(Kind::Float) / numbers as f64)
    }
}

/// 1 at times `[B]` before `from`, falling linearly to 0 at 1; 1 everywhere where `from` is 1.
pub(super) fn fall(t: &Tensor, from: f64) -> Tensor {
    match from {
        1.0 => t.ones_like(),
        from => ((t.neg() + 1.0) / (1.0 - from)).clamp_max(1.0),
    }
}
