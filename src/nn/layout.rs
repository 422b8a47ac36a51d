//! Where the numbers of an image stand in memory: one channel after another, or the channels of each pixel together.

use tch::{Kind, Tensor};

/// How images and the weights of convolutions lie in memory; their values and shapes are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Rows of one channel after another (NCHW).
    #[default]
    Contiguous,
    /// The channels of a pixel side by side (NHWC), which most convolution kernels read without a copy.
    ChannelsLast,
}

impl Layout {
    /// Memory for a tensor of this shape; what has no channels and pixels lies contiguous.
    pub(super) fn empty(self, shape: &[i64], options: (Kind, tch::Device)) -> Tensor {
        match (self, shape) {
            (Layout::ChannelsLast, &[n, c, h, w]) => Tensor::empty([n, h, w, c], options).permute([0, 3, 1, 2]),
            _ => Tensor::empty(shape, options),
        }
    }

    /// A tensor in this layout and of this kind: itself where it is so already, else a copy without a graph.
    pub(super) fn arrange(self, x: &Tensor, kind: Kind) -> Tensor {
        if x.kind() == kind && self.holds(x) {
            return x.shallow_clone();
        }
        let mut out = self.empty(&x.size(), (kind, x.device()));
        out.copy_(x);
        out
    }

    /// The same, differentiable in `x`.
    pub(super) fn arrange_with_graph(self, x: &Tensor, kind: Kind) -> Tensor {
        let x = x.to_kind(kind);
        match (self, &x.size()[..]) {
            // A view: a copy would keep the strides of a single channel, which do not tell a layout.
            (Layout::ChannelsLast, &[n, 1, h, w]) => x.reshape([n, h, w, 1]).permute([0, 3, 1, 2]),
            (Layout::ChannelsLast, &[_, _, _, _]) => x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
            _ => x,
        }
    }

    /// Whether the strides are those of [`empty`](Self::empty).
    fn holds(self, x: &Tensor) -> bool {
        match (self, &x.size()[..]) {
            (Layout::ChannelsLast, &[_, c, h, w]) => x.stride() == [c * h * w, 1, w * c, c],
            _ => x.is_contiguous(),
        }
    }
}
