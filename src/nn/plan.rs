//! A network without tensors: every layer with its name, shapes and costs, and the list of tensors that it will need.

use tch::Kind;

use super::config::{Init, Join, Norm, Output, SpectralNorm};
use super::mode::Mode;

/// A checked architecture; built by [`Plan::new`](super::build).
#[derive(Debug)]
pub(super) struct Plan {
    /// The shape of a state.
    pub input: Vec<i64>,
    pub nodes: Vec<Node>,
    /// The tensors in the order of PyTorch's `state_dict`; operations refer to them by position.
    pub slots: Vec<Slot>,
}

/// One layer at its place.
#[derive(Debug)]
pub(super) struct Node {
    /// The layer's name in PyTorch, such as `6.branch.0`.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    pub op: Op,
    /// Shape of what comes out, without the batch.
    pub output: Vec<i64>,
    /// Multiply-accumulates an image, those inside a residual block left to its own layers.
    pub macs: u64,
    /// Trainable numbers, those inside a residual block left to its own layers.
    pub params: u64,
    /// Whether what comes in may be overwritten: nobody else reads it, and no backward pass needs it.
    pub owns_input: bool,
}

/// What a layer computes.
#[derive(Debug)]
pub(super) enum Op {
    Conv {
        weight: Weight,
        bias: Option<usize>,
        stride: i64,
        padding: i64,
    },
    Linear {
        weight: Weight,
        bias: Option<usize>,
    },
    Activation(Activation),
    Pool {
        by: PoolBy,
        size: i64,
        stride: i64,
        padding: i64,
    },
    GlobalAvgPool,
    GlobalSumPool,
    Flatten,
    /// Channels, height and width of what comes out.
    Unflatten([i64; 3]),
    SumFeatures,
    /// Channels of zeroes stand before and after those that come in.
    Subsample {
        stride: i64,
        padding: [i64; 2],
    },
    /// Each pixel so often along each side.
    Upsample {
        factor: i64,
    },
    Residual {
        branch: Vec<Node>,
        shortcut: Vec<Node>,
        join: Join,
    },
    GroupNorm {
        groups: i64,
        eps: f64,
        weight: usize,
        bias: usize,
    },
    /// Its tensors stand in a row: weight, bias, running mean, running variance, batches seen.
    BatchNorm {
        norm: Norm,
        first: usize,
    },
    Dropout {
        p: f64,
    },
}

impl Op {
    /// Whether the result is a new tensor that the operation's own backward pass does not read.
    pub fn gives_away_output(&self) -> bool {
        match self {
            Op::Conv { .. } | Op::Linear { .. } | Op::GroupNorm { .. } | Op::BatchNorm { .. } | Op::Residual { .. } => {
                true
            }
            Op::Pool { by, .. } => *by != PoolBy::Max,
            _ => false,
        }
    }
}

/// A function of each number alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Relu,
    LeakyRelu(f64),
    Silu,
    Elu,
    Softplus,
    Square,
}

/// What is taken of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolBy {
    Average,
    Sum,
    Max,
}

/// Where a layer's weight lies, and how it is normalised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    pub at: usize,
    pub spectral: Option<Spectral>,
}

/// Spectral normalisation of a weight: its settings and where its two singular vectors lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spectral {
    pub config: SpectralNorm,
    pub u: usize,
    pub v: usize,
}

/// A tensor that the network needs.
#[derive(Debug)]
pub(super) struct Slot {
    /// The name in PyTorch's `state_dict`.
    pub name: String,
    pub shape: Vec<i64>,
    pub kind: Kind,
    pub start: Start,
    /// Whether training changes it by its gradient; else it is a buffer.
    pub trainable: bool,
    /// Whether a reduced-precision copy of the network holds it in that precision.
    pub reducible: bool,
}

/// How a tensor starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// A weight, its first axis the outputs.
    Weight(Init),
    /// The bias that goes with a weight of so many inputs.
    Bias(Init, i64),
    Zeros,
    Ones,
    /// A random direction of length 1.
    Direction,
}

impl Plan {
    /// The position of a tensor by its name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|s| s.name == name)
    }

    /// How many classes the last layer's logits tell apart.
    pub fn classes(&self, output: Output) -> Option<i64> {
        let last = self.nodes.last().filter(|_| output == Output::Logits);
        last.map(|n| n.output[0])
    }

    /// Whether a pass that is no evaluation draws random numbers.
    pub fn draws(&self) -> bool {
        self.any(&|op| matches!(op, Op::Dropout { p } if *p > 0.0))
    }

    /// Whether a pass computes each image by itself and records nothing.
    pub fn joins(&self, mode: Mode) -> bool {
        let mixes = |op: &Op| matches!(op, Op::BatchNorm { .. });
        let iterates = mode == Mode::Train && !self.spectral_weights().is_empty();
        mode == Mode::Eval || !(iterates || self.any(&mixes))
    }

    /// Whether an operation is anywhere among the layers.
    fn any(&self, is: &dyn Fn(&Op) -> bool) -> bool {
        fn among(nodes: &[Node], is: &dyn Fn(&Op) -> bool) -> bool {
            nodes.iter().any(|node| match &node.op {
                Op::Residual { branch, shortcut, .. } => among(branch, is) || among(shortcut, is),
                op => is(op),
            })
        }
        among(&self.nodes, is)
    }

    /// Every weight under spectral normalisation.
    pub fn spectral_weights(&self) -> Vec<Weight> {
        fn collect(nodes: &[Node], out: &mut Vec<Weight>) {
            for node in nodes {
                match &node.op {
                    Op::Conv { weight, .. } | Op::Linear { weight, .. } if weight.spectral.is_some() => {
                        out.push(*weight)
                    }
                    Op::Residual { branch, shortcut, .. } => {
                        collect(branch, out);
                        collect(shortcut, out);
                    }
                    _ => {}
                }
            }
        }
        let mut out = Vec::new();
        collect(&self.nodes, &mut out);
        out
    }
}
