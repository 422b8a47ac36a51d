//! Adam, AdamW and SGD with PyTorch's formulas, updating in place, their state visible by parameter name.

use tch::{Tensor, no_grad_guard};

use crate::config::{Algorithm, OptimizerConfig, ParamClip};
use crate::error::Result;
use crate::files::{self, Named};

/// Name of the step count in the state.
const STEP: &str = "step";

/// An optimiser over named parameters, which it shares with the network.
///
/// Neither a step nor clipping reads back to the host. A parameter without a gradient is left as
/// it is; the step count is the same for all.
#[derive(Debug)]
pub struct Optimizer {
    algorithm: Algorithm,
    weight_decay: f64,
    grad_clip: Option<ParamClip>,
    steps: u64,
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
        let _guard = no_grad_guard();
        self.steps += 1;
        for i in 0..self.params.len() {
            let grad = self.params[i].grad();
            if grad.defined() {
                self.update(i, grad, lr);
            }
        }
    }

    fn update(&mut self, i: usize, mut grad: Tensor, lr: f64) {
        let (p, s) = (&mut self.params[i], &mut self.scratch[i]);
        let decoupled = matches!(self.algorithm, Algorithm::AdamW { .. });
        if decoupled {
            let _ = p.g_mul_scalar_(1.0 - lr * self.weight_decay);
        } else if self.weight_decay > 0.0 {
            grad = &grad + &*p * self.weight_decay;
        }
        match self.algorithm {
            Algorithm::Adam { betas, eps } | Algorithm::AdamW { betas, eps } => {
                let [(_, m), (_, v)] = &mut self.moments[2 * i..2 * i + 2] else {
                    unreachable!("Adam keeps two moments a parameter")
                };
                adam(p, &grad, (m, v), s, (betas, eps), (self.steps, lr));
            }
            Algorithm::Sgd { momentum, nesterov } => {
                let buffer = self.moments.get_mut(i).map(|(_, b)| b);
                sgd(p, &grad, buffer, s, (momentum, nesterov), lr);
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
            Some(ParamClip::Moment { k, floor }) => self.clip_by_moment(k, floor),
        }
        total
    }

    /// Du & Mordatch 2019: each element to +-(k sqrt(v / (1 - beta2^t)) + floor), with Adam's state
    /// before this step; nothing is clipped before the first one.
    fn clip_by_moment(&mut self, k: f64, floor: f64) {
        let (Algorithm::Adam { betas, .. } | Algorithm::AdamW { betas, .. }) = self.algorithm else {
            return;
        };
        if self.steps == 0 {
            return;
        }
        let correction = 1.0 - betas[1].powf(self.steps as f64);
        for (i, p) in self.params.iter().enumerate() {
            let (grad, bound) = (p.grad(), &mut self.scratch[i]);
            if grad.defined() {
                bound.copy_(&self.moments[2 * i + 1].1);
                let _ = bound
                    .g_div_scalar_(correction)
                    .sqrt_()
                    .g_mul_scalar_(k)
                    .g_add_scalar_(floor);
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
    /// Where a name is missing or not expected, or a shape or kind differs; then nothing is changed.
    pub fn load_state(&mut self, given: &Named, place: &str) -> Result<()> {
        files::check_same(&self.state(), given, place)?;
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

/// Kingma & Ba 2015, in the order of PyTorch's operations.
fn adam(
    p: &mut Tensor,
    grad: &Tensor,
    (m, v): (&mut Tensor, &mut Tensor),
    s: &mut Tensor,
    (betas, eps): ([f64; 2], f64),
    (t, lr): (u64, f64),
) {
    let correction = betas.map(|b| 1.0 - b.powf(t as f64));
    let _ = m.lerp_(grad, 1.0 - betas[0]);
    s.copy_(grad);
    let _ = s.g_mul_scalar_(1.0 - betas[1]);
    let _ = v.g_mul_scalar_(betas[1]).addcmul_(s, grad);
    let _ = v.sqrt_out(s);
    let _ = s.g_div_scalar_(correction[1].sqrt()).g_add_scalar_(eps);
    let _ = m.div_out(s, s);
    let _ = s.g_mul_scalar_(-lr / correction[0]);
    let _ = p.g_add_(s);
}

/// PyTorch's momentum: the buffer starts as the first gradient and is not damped.
fn sgd(
    p: &mut Tensor,
    grad: &Tensor,
    buffer: Option<&mut Tensor>,
    s: &mut Tensor,
    (momentum, nesterov): (f64, bool),
    lr: f64,
) {
    match buffer {
        None => s.copy_(grad),
        Some(b) => {
            let _ = b.g_mul_scalar_(momentum).g_add_(grad);
            s.copy_(b);
            if nesterov {
                let _ = s.g_mul_scalar_(momentum).g_add_(grad);
            }
        }
    }
    let _ = s.g_mul_scalar_(-lr);
    let _ = p.g_add_(s);
}
