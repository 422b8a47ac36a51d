//! Adam, AdamW and SGD with PyTorch's formulas, updating in place, their state visible by parameter name.

use tch::{Tensor, no_grad_guard};

use super::config::{Algorithm, OptimizerConfig, ParamClip};
use super::formulas::{Numbers, adam, sgd, write};
use crate::error::Result;
use crate::files::{self, Named};

/// Name of the step count in the state.
const STEP: &str = "step";

/// An optimiser over named parameters, which it shares with the network.
///
/// Neither a step nor clipping reads back to the host. A parameter without a gradient is left as
/// it is; the step count is the same for all.
///
/// A step has two parts: [`prepare`](Self::prepare) counts it and writes its numbers to the device;
/// [`clip_prepared`](Self::clip_prepared) and [`step_prepared`](Self::step_prepared) launch the same operations on the
/// same memory each time, so that they can be recorded once and replayed.
#[derive(Debug)]
pub struct Optimizer {
    algorithm: Algorithm,
    weight_decay: f64,
    grad_clip: Option<ParamClip>,
    steps: u64,
    numbers: Numbers,
    params: Vec<Tensor>,
    /// Views of one block that is as large as the largest parameter: its content lasts for one parameter's update.
    scratch: Vec<Tensor>,
    /// `PARAM.exp_avg` and `PARAM.exp_avg_sq` (Adam), or `PARAM.momentum_buffer` (SGD with momentum), in turn.
    moments: Vec<(String, Tensor)>,
}

impl Optimizer {
    /// An optimiser of `params`, which share one kind and one device; its moments are 0.
    pub fn new(cfg: &OptimizerConfig, params: &[(String, Tensor)]) -> Self {
        let _guard = no_grad_guard();
        let names: &[&str] = match cfg.algorithm {
            Algorithm::Adam { .. } | Algorithm::AdamW { .. } => &["exp_avg", "exp_avg_sq"],
            Algorithm::Sgd { momentum, .. } if momentum > 0.0 => &["momentum_buffer"],
            Algorithm::Sgd { .. } => &[],
        };
        let moments = params
            .iter()
            .flat_map(|(name, p)| names.iter().map(move |m| (format!("{name}.{m}"), p.zeros_like())))
            .collect();
        let params: Vec<Tensor> = params.iter().map(|(_, p)| p.shallow_clone()).collect();
        Self {
            algorithm: cfg.algorithm,
            weight_decay: cfg.weight_decay,
            grad_clip: cfg.grad_clip,
            steps: 0,
            numbers: Numbers::new(&params),
            scratch: scratch(&params),
            params,
            moments,
        }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates every parameter by its gradient, with learning rate `lr`.
    pub fn step(&mut self, lr: f64) {
        self.prepare(lr);
        self.step_prepared();
    }

    /// The host's part of a step with learning rate `lr`: it is counted, and its numbers are written to the device.
    pub fn prepare(&mut self, lr: f64) {
        self.prepare_clip();
        self.steps += 1;
        let n = &mut self.numbers;
        match self.algorithm {
            Algorithm::Adam { betas, .. } | Algorithm::AdamW { betas, .. } => {
                let correction = betas.map(|b| 1.0 - b.powf(self.steps as f64));
                write(&mut n.root, correction[1].sqrt());
                write(&mut n.size, -lr / correction[0]);
                write(&mut n.decay, 1.0 - lr * self.weight_decay);
            }
            Algorithm::Sgd { .. } => write(&mut n.size, -lr),
        }
    }

    /// The device's part: updates every parameter by its gradient with the numbers that are there.
    pub fn step_prepared(&mut self) {
        let _guard = no_grad_guard();
        for i in 0..self.params.len() {
            let grad = self.params[i].grad();
            if grad.defined() {
                self.update(i, grad);
            }
        }
    }

    fn update(&mut self, i: usize, mut grad: Tensor) {
        let (p, s, n) = (&mut self.params[i], &mut self.scratch[i], &self.numbers);
        let decoupled = matches!(self.algorithm, Algorithm::AdamW { .. });
        if decoupled {
            let _ = p.g_mul_(&n.decay);
        } else if self.weight_decay > 0.0 {
            grad = &grad + &*p * self.weight_decay;
        }
        match self.algorithm {
            Algorithm::Adam { betas, eps } | Algorithm::AdamW { betas, eps } => {
                let [(_, m), (_, v)] = &mut self.moments[2 * i..2 * i + 2] else {
                    unreachable!("Adam keeps two moments a parameter")
                };
                adam(p, &grad, (m, v), s, (betas, eps), n);
            }
            Algorithm::Sgd { momentum, nesterov } => {
                let buffer = self.moments.get_mut(i).map(|(_, b)| b);
                sgd(p, &grad, buffer, s, (momentum, nesterov), &n.size);
            }
        }
    }

    /// Sets every gradient to 0, keeping its memory.
    pub fn zero_grad(&mut self) {
        self.params.iter_mut().for_each(Tensor::zero_grad);
    }

    /// Limits the gradients as the configuration says, in place.
    ///
    /// Returns their Euclidean norm before that, over all parameters: one number, on the device.
    pub fn clip(&mut self) -> Tensor {
        self.prepare_clip();
        self.clip_prepared()
    }

    /// The device's part of [`clip`](Self::clip), with the numbers that [`prepare`](Self::prepare) wrote.
    pub fn clip_prepared(&mut self) -> Tensor {
        let _guard = no_grad_guard();
        let total = self.grad_norm();
        match self.grad_clip {
            None => {}
            Some(ParamClip::Norm(max)) => {
                // PyTorch's clip_grad_norm_, its 1e-6 included.
                let factor = ((&total + 1e-6).reciprocal() * max).clamp_max(1.0);
                self.each_grad(|_, g| {
                    let _ = g.g_mul_(&factor);
                });
            }
            Some(ParamClip::Value(max)) => self.each_grad(|_, g| {
                let _ = g.clamp_(-max, max);
            }),
            Some(ParamClip::Moment { k, .. }) => self.clip_by_moment(k),
        }
        total
    }

    /// What clipping by the second moment needs to know of the steps before: Adam's correction of it, and the floor, which
    /// lets everything pass before the first step.
    fn prepare_clip(&mut self) {
        let (Some(ParamClip::Moment { floor, .. }), Some(beta)) = (self.grad_clip, self.second_beta()) else {
            return;
        };
        let first = self.steps == 0;
        let correction = 1.0 - beta.powf(self.steps as f64);
        write(&mut self.numbers.correction, if first { 1.0 } else { correction });
        write(&mut self.numbers.floor, if first { f64::INFINITY } else { floor });
    }

    fn second_beta(&self) -> Option<f64> {
        match self.algorithm {
            Algorithm::Adam { betas, .. } | Algorithm::AdamW { betas, .. } => Some(betas[1]),
            Algorithm::Sgd { .. } => None,
        }
    }

    /// Du & Mordatch 2019: each element to +-(k sqrt(v / (1 - beta2^t)) + floor), with Adam's state
    /// before this step; nothing is clipped before the first one.
    fn clip_by_moment(&mut self, k: f64) {
        if self.second_beta().is_none() {
            return;
        }
        for (i, p) in self.params.iter().enumerate() {
            let (grad, bound) = (p.grad(), &mut self.scratch[i]);
            if grad.defined() {
                bound.copy_(&self.moments[2 * i + 1].1);
                let _ = bound
                    .g_div_(&self.numbers.correction)
                    .sqrt_()
                    .g_mul_scalar_(k)
                    .g_add_(&self.numbers.floor);
                let _ = grad.minimum_out(&grad, bound);
                let _ = grad.maximum_out(&grad, &bound.neg_());
            }
        }
    }

    fn grad_norm(&self) -> Tensor {
        let norms: Vec<Tensor> = self
            .params
            .iter()
            .map(Tensor::grad)
            .filter(Tensor::defined)
            .map(|g| g.norm())
            .collect();
        if norms.is_empty() {
            let options = self
                .params
                .first()
                .map_or(tch::kind::FLOAT_CPU, |p| (p.kind(), p.device()));
            return Tensor::zeros([0i64; 0], options);
        }
        Tensor::stack(&norms, 0).norm()
    }

    fn each_grad(&self, mut f: impl FnMut(usize, &mut Tensor)) {
        for (i, p) in self.params.iter().enumerate() {
            let mut grad = p.grad();
            if grad.defined() {
                f(i, &mut grad);
            }
        }
    }

    /// What a resumed run needs, by name: `PARAM.exp_avg`, `PARAM.exp_avg_sq` or
    /// `PARAM.momentum_buffer`, and `step` (one i64). The moments are shared, not copied.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let moments = self.moments.iter().map(|(name, t)| (name.clone(), t.shallow_clone()));
        moments
            .chain([(STEP.to_string(), Tensor::from(self.steps as i64))])
            .collect()
    }

    /// Copies a state that [`state`](Self::state) gave; `place` names its origin in an error.
    ///
    /// # Errors
    /// Where a name is missing or not expected, a shape or kind differs, or a number is none; then nothing is changed.
    pub fn load_state(&mut self, given: &Named, place: &str) -> Result<()> {
        files::check_same(&self.state(), given, place)?;
        files::ensure_finite(given, &format!("{place}, the optimiser"))?;
        let _guard = no_grad_guard();
        self.moments.iter_mut().for_each(|(name, t)| t.copy_(&given[name]));
        self.steps = given[STEP].int64_value(&[]) as u64;
        Ok(())
    }
}

fn scratch(params: &[Tensor]) -> Vec<Tensor> {
    let largest = params.iter().map(Tensor::numel).max().unwrap_or(0) as i64;
    let options = params.first().map_or(tch::kind::FLOAT_CPU, |p| (p.kind(), p.device()));
    let block = Tensor::empty([largest], options);
    params
        .iter()
        .map(|p| block.narrow(0, 0, p.numel() as i64).view_(p.size()))
        .collect()
}
