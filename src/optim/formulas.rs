//! The formulas of Adam and SGD, with the numbers that change from step to step read from the device.

use tch::Tensor;

/// The numbers that change from step to step, `[]` each, on the device of the parameters and in their kind.
#[derive(Debug)]
pub(super) struct Numbers {
    /// What the update is multiplied by: minus the learning rate, over Adam's correction of the first moment.
    pub size: Tensor,
    /// The root of Adam's correction of the second moment.
    pub root: Tensor,
    /// What AdamW multiplies weights by.
    pub decay: Tensor,
    /// Adam's correction of the second moment before the step, for clipping by it.
    pub correction: Tensor,
    /// The least bound of that clipping.
    pub floor: Tensor,
}

impl Numbers {
    pub fn new(params: &[Tensor]) -> Self {
        let options = params.first().map_or(tch::kind::FLOAT_CPU, |p| (p.kind(), p.device()));
        let number = || Tensor::ones([0i64; 0], options);
        Self {
            size: number(),
            root: number(),
            decay: number(),
            correction: number(),
            floor: number(),
        }
    }
}

/// Filling takes the number along with the launch; nothing waits.
pub(super) fn write(number: &mut Tensor, value: f64) {
    let _ = number.fill_(value);
}

/// Kingma & Ba 2015, in the order of PyTorch's operations.
pub(super) fn adam(
    p: &mut Tensor,
    grad: &Tensor,
    (m, v): (&mut Tensor, &mut Tensor),
    s: &mut Tensor,
    (betas, eps): ([f64; 2], f64),
    n: &Numbers,
) {
    let _ = m.lerp_(grad, 1.0 - betas[0]);
    s.copy_(grad);
    let _ = s.g_mul_scalar_(1.0 - betas[1]);
    let _ = v.g_mul_scalar_(betas[1]).addcmul_(s, grad);
    let _ = v.sqrt_out(s);
    let _ = s.g_div_(&n.root).g_add_scalar_(eps);
    let _ = m.div_out(s, s);
    let _ = s.g_mul_(&n.size);
    let _ = p.g_add_(s);
}

/// PyTorch's momentum: the buffer starts as the first gradient and is not damped.
pub(super) fn sgd(
    p: &mut Tensor,
    grad: &Tensor,
    buffer: Option<&mut Tensor>,
    s: &mut Tensor,
    (momentum, nesterov): (f64, bool),
    size: &Tensor,
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
    let _ = s.g_mul_(size);
    let _ = p.g_add_(s);
}
