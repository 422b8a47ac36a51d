//! The gradient of a network in its image without autograd: every layer keeps what its own backward step reads, and
//! nothing else.

use tch::{Device, Kind, Tensor};

use super::config::Join;
use super::forward;
use super::layout::Layout;
use super::mode::Mode;
use super::plan::{Activation, Node, Op, PoolBy};
use crate::ffi;

/// What a layer keeps for its backward step.
enum Kept {
    Nothing,
    /// What came in, or, for an activation in place, what went out.
    Value(Tensor),
    Residual {
        branch: Vec<Kept>,
        shortcut: Vec<Kept>,
        /// What the branch and the shortcut gave, where they are multiplied.
        factors: Option<[Tensor; 2]>,
    },
    /// A piece of autograd's graph, from what came in to what went out: any layer without a step of its own here.
    Graph {
        input: Tensor,
        output: Tensor,
    },
}

/// A pass that can be gone back: the layers, their tensors, and what each of them kept.
pub(super) struct Pass<'a> {
    nodes: &'a [Node],
    tensors: &'a [Tensor],
    layout: Layout,
    kept: Vec<Kept>,
}

impl<'a> Pass<'a> {
    /// Runs the layers on `x`; spectral norm has been folded into the weights. Gradients are off in the caller.
    pub fn forward(nodes: &'a [Node], x: Tensor, tensors: &'a [Tensor], mode: Mode, layout: Layout) -> (Tensor, Self) {
        let (out, kept) = forward_all(nodes, x, tensors, mode);
        let pass = Self {
            nodes,
            tensors,
            layout,
            kept,
        };
        (out, pass)
    }

    /// The gradient in what came in, from that in what went out.
    pub fn backward(self, grad: Tensor) -> Tensor {
        let Pass {
            nodes,
            tensors: t,
            layout,
            mut kept,
        } = self;
        let grad = Gradient {
            tensor: grad,
            shared: true,
        };
        let (Some((first, rest)), false) = (nodes.split_first(), kept.is_empty()) else {
            return grad.tensor;
        };
        let kept_first = kept.remove(0);
        let grad = backward_all(rest, kept, grad, t, layout);
        match (&first.op, &kept_first) {
            (
                Op::Conv {
                    weight,
                    stride,
                    padding,
                    ..
                },
                Kept::Value(x),
            ) if thin(x, layout) => {
                let size = [x.size()[2], x.size()[3]];
                ffi::convolution_backward_image(&grad.tensor, &t[weight.at], size, *stride, *padding)
            }
            _ => backward_one(first, kept_first, grad, t, layout).tensor,
        }
    }
}

/// Most channels of an image for which a product and a sum of patches beat the general kernel.
const THIN: i64 = 4;

/// Whether an image on a CPU has so few channels.
fn thin(image: &Tensor, layout: Layout) -> bool {
    image.size()[1] <= THIN && image.device() == Device::Cpu && layout == Layout::ChannelsLast
}

/// A gradient on its way back.
struct Gradient {
    tensor: Tensor,
    /// Whether its memory is read elsewhere too, or its elements share one place: then it may not be overwritten.
    shared: bool,
}

impl Gradient {
    fn new(tensor: Tensor) -> Self {
        Self { tensor, shared: false }
    }

    /// The product with a layer's slope; `write` puts it into its first argument, which may be the gradient itself.
    fn through(self, write: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Self {
        let out = match self.shared {
            true => self.tensor.empty_like(),
            false => self.tensor.shallow_clone(),
        };
        let _ = write(&out, &self.tensor);
        Self::new(out)
    }
}

fn forward_all(nodes: &[Node], mut x: Tensor, t: &[Tensor], mode: Mode) -> (Tensor, Vec<Kept>) {
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        let (out, kept) = forward_one(node, x, t, mode);
        all.push(kept);
        x = out;
    }
    (x, all)
}

fn forward_one(node: &Node, x: Tensor, t: &[Tensor], mode: Mode) -> (Tensor, Kept) {
    let plain = |x: &Tensor| forward::layer(node, x.shallow_clone(), t, mode);
    match &node.op {
        Op::Linear { .. } | Op::Unflatten(_) | Op::Upsample { .. } => (plain(&x), Kept::Nothing),
        Op::Conv { .. } | Op::GlobalAvgPool | Op::GlobalSumPool | Op::Flatten | Op::SumFeatures => {
            (plain(&x), Kept::Value(x))
        }
        Op::Pool { by, .. } if *by != PoolBy::Max => (plain(&x), Kept::Value(x)),
        Op::Dropout { .. } if mode == Mode::Eval => (x, Kept::Nothing),
        Op::Activation(activation) => activate(*activation, x, node.owns_input),
        Op::Residual { branch, shortcut, join } => {
            let (short, kept_short) = forward_all(shortcut, x.shallow_clone(), t, mode);
            let (long, kept_long) = forward_all(branch, x, t, mode);
            let (out, factors) = match join {
                Join::Sum => (forward::join(branch, long, &short), None),
                Join::Product => (&long * &short, Some([long, short])),
            };
            let kept = Kept::Residual {
                branch: kept_long,
                shortcut: kept_short,
                factors,
            };
            (out, kept)
        }
        Op::Pool { .. } | Op::Subsample { .. } | Op::GroupNorm { .. } | Op::BatchNorm { .. } | Op::Dropout { .. } => {
            recorded(node, &x, t, mode)
        }
    }
}

/// Where the slope follows from the result, the result is what is kept, in the input's place where that may be taken.
fn activate(activation: Activation, x: Tensor, owns_input: bool) -> (Tensor, Kept) {
    let needs_input = match activation {
        Activation::Silu | Activation::Softplus | Activation::Square => true,
        // Of a negative slope the result's sign tells nothing.
        Activation::LeakyRelu(slope) => slope < 0.0,
        Activation::Relu | Activation::Elu => false,
    };
    if needs_input {
        return (forward::activate(activation, x.shallow_clone(), false), Kept::Value(x));
    }
    let out = match activation {
        Activation::LeakyRelu(slope) if owns_input => x.leaky_relu_backward_grad_input(&x, &x, slope, false),
        _ => forward::activate(activation, x, owns_input),
    };
    let kept = out.shallow_clone();
    (out, Kept::Value(kept))
}

/// A layer with autograd's graph behind it.
fn recorded(node: &Node, x: &Tensor, t: &[Tensor], mode: Mode) -> (Tensor, Kept) {
    tch::with_grad(|| {
        let input = x.detach().set_requires_grad(true);
        let output = forward::layer(node, input.shallow_clone(), t, mode);
        (output.detach(), Kept::Graph { input, output })
    })
}

fn backward_all(nodes: &[Node], kept: Vec<Kept>, grad: Gradient, t: &[Tensor], layout: Layout) -> Gradient {
    let layers = nodes.iter().zip(kept).rev();
    layers.fold(grad, |grad, (node, kept)| backward_one(node, kept, grad, t, layout))
}

fn backward_one(node: &Node, kept: Kept, grad: Gradient, t: &[Tensor], layout: Layout) -> Gradient {
    match (&node.op, kept) {
        (_, Kept::Graph { input, output }) => tch::with_grad(|| {
            let product = (output * grad.tensor).sum(Kind::Float);
            Gradient::new(Tensor::run_backward(&[product], &[input], false, false).remove(0))
        }),
        // Each pixel gathers the gradients of its copies.
        (Op::Upsample { factor }, _) => {
            let grad = grad.tensor.avg_pool2d([*factor; 2], [*factor; 2], 0, false, true, 1);
            Gradient::new(grad)
        }
        (Op::Unflatten(_), _) => Gradient {
            tensor: grad.tensor.flatten(1, -1),
            shared: grad.shared,
        },
        (Op::Linear { weight, .. }, _) => Gradient::new(grad.tensor.matmul(&t[weight.at])),
        (
            Op::Conv {
                weight,
                stride,
                padding,
                ..
            },
            Kept::Value(x),
        ) => Gradient::new(ffi::convolution_backward_input(
            &grad.tensor,
            &x,
            &t[weight.at],
            *stride,
            *padding,
        )),
        (Op::Activation(activation), Kept::Value(value)) => slope(*activation, &value, grad),
        (
            Op::Pool {
                by,
                size,
                stride,
                padding,
            },
            Kept::Value(x),
        ) => {
            let divisor = (*by == PoolBy::Sum).then_some(1);
            Gradient::new(x.avg_pool2d_backward(&grad.tensor, *size, *stride, *padding, false, true, divisor))
        }
        (Op::GlobalAvgPool, Kept::Value(x)) => {
            let size = x.size();
            Gradient::new(spread(&grad.tensor, &size, layout) / (size[2] * size[3]) as f64)
        }
        // Of images of one pixel it is the very gradient that came in.
        (Op::GlobalSumPool, Kept::Value(x)) => Gradient {
            tensor: spread(&grad.tensor, &x.size(), layout),
            shared: true,
        },
        (Op::Flatten | Op::SumFeatures, Kept::Value(x)) => {
            let size = x.size();
            let flat: i64 = size[1..].iter().product();
            let whole = grad.tensor.expand([size[0], flat], false).reshape(&size);
            Gradient {
                tensor: layout.arrange(&whole, whole.kind()),
                shared: true,
            }
        }
        (
            Op::Residual { branch, shortcut, .. },
            Kept::Residual {
                branch: b,
                shortcut: s,
                factors,
            },
        ) => {
            // Of a product each part gets the gradient times the other.
            let part = |nodes: &[Node], kept, other: Option<&Tensor>| {
                let grad = match other {
                    Some(other) => Gradient::new(&grad.tensor * other),
                    None => Gradient {
                        tensor: grad.tensor.shallow_clone(),
                        shared: true,
                    },
                };
                backward_all(nodes, kept, grad, t, layout)
            };
            let [long, short] = match &factors {
                Some([long, short]) => [Some(long), Some(short)],
                None => [None, None],
            };
            sum(part(branch, b, short), part(shortcut, s, long))
        }
        (Op::Dropout { .. }, _) => grad,
        _ => unreachable!("a layer keeps what its backward step reads"),
    }
}

fn sum(mut a: Gradient, b: Gradient) -> Gradient {
    match a.shared {
        false => Gradient::new(a.tensor.g_add_(&b.tensor)),
        true => Gradient::new(&a.tensor + &b.tensor),
    }
}

/// `[B,C]` to every place of `[B,C,H,W]`.
fn spread(grad: &Tensor, size: &[i64], layout: Layout) -> Tensor {
    let all = grad.view([size[0], size[1], 1, 1]).expand(size, false);
    layout.arrange(&all, all.kind())
}

/// The gradient times the activation's slope, in the gradient's place where that may be taken.
fn slope(activation: Activation, value: &Tensor, grad: Gradient) -> Gradient {
    grad.through(|out, g| match activation {
        Activation::Relu => value.threshold_backward_grad_input(out, g, 0.0),
        Activation::LeakyRelu(slope) => value.leaky_relu_backward_grad_input(out, g, slope, false),
        Activation::Silu => value.silu_backward_grad_input(out, g),
        Activation::Elu => Tensor::elu_backward_grad_input(out, g, 1.0, 1.0, 1.0, true, value),
        Activation::Softplus => value.softplus_backward_grad_input(out, g, 1.0, 20.0),
        Activation::Square => value.multiply_out(out, g).g_mul_scalar_(2.0),
    })
}
