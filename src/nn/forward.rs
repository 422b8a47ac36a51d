//! The arithmetic of every layer: runs a plan on a table of tensors.

use tch::Tensor;

use super::config::{Join, Norm};
use super::mode::Mode;
use super::plan::{Activation, Node, Op, PoolBy};
use super::spectral::effective;

/// Runs the layers one after another; `tensors` are those of the plan's slots.
pub(super) fn run(nodes: &[Node], x: Tensor, tensors: &[Tensor], mode: Mode) -> Tensor {
    nodes.iter().fold(x, |x, node| layer(node, x, tensors, mode))
}

/// One layer.
pub(super) fn layer(node: &Node, x: Tensor, t: &[Tensor], mode: Mode) -> Tensor {
    match &node.op {
        Op::Conv {
            weight,
            bias,
            stride,
            padding,
        } => {
            let bias = bias.map(|at| &t[at]);
            x.conv2d(&effective(weight, t, mode, x.kind()), bias, *stride, *padding, 1, 1)
        }
        Op::Linear { weight, bias } => x.linear(&effective(weight, t, mode, x.kind()), bias.map(|at| &t[at])),
        Op::Activation(activation) => activate(*activation, x, node.owns_input),
        Op::Pool {
            by,
            size,
            stride,
            padding,
        } => match by {
            PoolBy::Average => x.avg_pool2d(*size, *stride, *padding, false, true, None),
            PoolBy::Sum => x.avg_pool2d(*size, *stride, *padding, false, true, 1),
            PoolBy::Max => x.max_pool2d(*size, *stride, *padding, 1, false),
        },
        Op::GlobalAvgPool => x.mean_dim([2i64, 3].as_slice(), false, None),
        Op::GlobalSumPool => x.sum_dim_intlist([2i64, 3].as_slice(), false, None),
        Op::Flatten => x.flatten(1, -1),
        Op::Unflatten([c, h, w]) => x.view([-1, *c, *h, *w]),
        Op::SumFeatures => x.flatten(1, -1).sum_dim_intlist(1, true, None),
        Op::Subsample { stride, padding } => {
            let taken = x.slice(2, None, None, *stride).slice(3, None, None, *stride);
            taken.constant_pad_nd([0, 0, 0, 0, padding[0], padding[1]])
        }
        Op::Upsample { factor } => {
            let side = |axis: usize| x.size()[axis] * factor;
            x.upsample_nearest2d([side(2), side(3)], None, None)
        }
        Op::Residual {
            branch,
            shortcut,
            join: by,
        } => {
            let short = run(shortcut, x.shallow_clone(), t, mode);
            let long = run(branch, x, t, mode);
            match by {
                Join::Sum => join(branch, long, &short),
                Join::Product => long * short,
            }
        }
        Op::GroupNorm {
            groups,
            eps,
            weight,
            bias,
        } => x.group_norm(*groups, Some(&t[*weight]), Some(&t[*bias]), *eps, true),
        Op::BatchNorm { norm, first } => batch_norm(*norm, &t[*first..*first + 5], &x, mode),
        Op::Dropout { p } => x.dropout(*p, mode != Mode::Eval),
    }
}

/// The sum at the end of a residual block, in the branch's own memory where that is given away.
pub(super) fn join(branch: &[Node], mut long: Tensor, short: &Tensor) -> Tensor {
    match branch.last() {
        Some(last) if last.op.gives_away_output() => long.g_add_(short),
        _ => long + short,
    }
}

/// Where the result alone suffices for the backward pass, it takes the input's place in memory.
pub(super) fn activate(activation: Activation, mut x: Tensor, owns_input: bool) -> Tensor {
    match activation {
        Activation::Relu if owns_input => x.relu_(),
        Activation::Elu if owns_input => x.elu_(),
        Activation::Relu => x.relu(),
        Activation::Elu => x.elu(),
        // tch's leaky_relu has a fixed slope; its backward is the same product, and is differentiable in what it multiplies.
        Activation::LeakyRelu(slope) => x.detach().leaky_relu_backward(&x, slope, false),
        Activation::Silu => x.silu(),
        Activation::Softplus => x.softplus(),
        Activation::Square => x.square(),
    }
}

/// Normalises by the batch's statistics in training, and records them where the mode does; else by the running ones.
fn batch_norm(norm: Norm, tensors: &[Tensor], x: &Tensor, mode: Mode) -> Tensor {
    let [weight, bias, mean, var, seen] = tensors else {
        unreachable!("the plan lays out five tensors a batch norm");
    };
    if mode == Mode::Train {
        let _guard = tch::no_grad_guard();
        let _ = seen.shallow_clone().g_add_scalar_(1);
    }
    let (weight, bias) = (Some(weight), Some(bias));
    let running = mode != Mode::TrainFrozenStats;
    x.batch_norm(
        weight,
        bias,
        running.then_some(mean),
        running.then_some(var),
        mode != Mode::Eval,
        norm.momentum,
        norm.eps,
        true,
    )
}
