//! A frozen copy of a network: what chains run on while the live network is left alone.

use tch::{Kind, Tensor};

use super::config::{Layer, NetworkConfig};
use super::gradient::Pass;
use super::layout::Layout;
use super::mode::Mode;
use super::network::{Network, shaped};
use super::normalize::Normalizer;
use super::plan::{Node, Plan, Weight};
use super::scaling::Scaling;
use super::{forward, spectral};

/// A network whose tensors never require gradients; spectral norm is folded into plain weights.
///
/// It computes in evaluation mode unless [`in_mode`](Self::in_mode) says otherwise.
#[derive(Debug)]
pub struct Frozen {
    config: NetworkConfig,
    kind: Kind,
    layout: Layout,
    mode: Mode,
    normalizer: Normalizer,
    plan: Plan,
    tensors: Vec<Tensor>,
    /// Where each tensor comes from in the live network.
    sources: Vec<Weight>,
}

impl Network {
    /// A copy for chains and scores: evaluation mode, no gradient for any parameter, weights in `kind` (f32 or bf16).
    pub fn frozen(&self, kind: Kind) -> Frozen {
        self.frozen_in(kind, Layout::default())
    }

    /// The same in a layout of its own, which changes its speed alone.
    pub fn frozen_in(&self, kind: Kind, layout: Layout) -> Frozen {
        Frozen::new(self, kind, layout)
    }
}

impl Frozen {
    pub(super) fn new(live: &Network, kind: Kind, layout: Layout) -> Frozen {
        let config = live.config().clone();
        let mut folded = config.clone();
        drop_spectral_norm(&mut folded.layers);
        let plan = Plan::new(&folded, config.name.as_ref()).expect("the live network was built from the same layers");
        let tensors = plan
            .slots
            .iter()
            .map(|s| {
                let kind = if s.reducible { kind } else { s.kind };
                layout.empty(&s.shape, (kind, live.device()))
            })
            .collect();
        let sources = plan.slots.iter().map(|s| source(&live.plan, &s.name)).collect();
        let mut frozen = Frozen {
            normalizer: Normalizer::new(&config, live.device()),
            config,
            kind,
            layout,
            mode: Mode::Eval,
            plan,
            tensors,
            sources,
        };
        frozen.refresh(live);
        frozen
    }

    /// Takes over the live network's weights and statistics, into the memory that is there.
    ///
    /// # Panics
    /// If `live` is of another architecture than the network this was made from.
    pub fn refresh(&mut self, live: &Network) {
        assert_eq!(
            self.config.layers,
            live.config().layers,
            "a frozen copy follows the network it was made from"
        );
        for (own, weight) in self.tensors.iter().zip(&self.sources) {
            spectral::fold_into(own, weight, &live.tensors);
        }
    }

    /// The same copy, computing in another mode: JEM++ samples with the batch's own statistics, IGEBM with dropout.
    ///
    /// # Panics
    /// For [`Mode::Train`]: a frozen copy records nothing.
    pub fn in_mode(mut self, mode: Mode) -> Self {
        assert!(mode != Mode::Train, "a frozen copy records nothing");
        self.mode = mode;
        self
    }

    /// The network's raw output for each image: `[B,C,H,W]` f32 to `[B]` f32, or to `[B,K]` where it gives logits;
    /// differentiable in the image alone.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_at(x, None)
    }

    /// The same at a level of noise, `[]` or `[B]`, of a network that takes one.
    pub fn forward_at(&self, x: &Tensor, sigma: Option<&Tensor>) -> Tensor {
        let scaling = self.config.scaling(sigma, x);
        let out = self.run(&self.plan.nodes, self.prepared(x, scaling.as_ref()));
        let out = shaped(out, &self.config);
        match scaling {
            Some(scaling) => scaling.output(out, x),
            None => out,
        }
    }

    /// What `head` makes of the raw output at `x`, f32, and the gradient in `x`, `[B,C,H,W]`, f32, contiguous.
    ///
    /// `head` gives, from the raw output, whatever it likes and the gradient in the raw output, of that one's shape. No
    /// graph is built: this is what a chain runs on.
    pub fn with_gradient<T>(&self, x: &Tensor, head: impl FnOnce(&Tensor) -> (T, Tensor)) -> (T, Tensor) {
        self.with_gradient_at(x, None, head)
    }

    /// The same at a level of noise, `[]` or `[B]`, of a network that takes one.
    pub fn with_gradient_at<T>(
        &self,
        x: &Tensor,
        sigma: Option<&Tensor>,
        head: impl FnOnce(&Tensor) -> (T, Tensor),
    ) -> (T, Tensor) {
        let _guard = tch::no_grad_guard();
        let Some(scaling) = self.config.scaling(sigma, x) else {
            let (value, _, grad) = self.through(&self.normalizer.apply(x, Kind::Float), |out| {
                let (value, grad) = head(&out);
                (value, grad.shallow_clone(), grad)
            });
            return (value, self.normalizer.pull_back(grad));
        };
        let input = scaling.embed(&self.normalizer.apply(x, Kind::Float));
        let (value, outputs, grad) = self.through(&input, |out| {
            let (value, grad) = head(&scaling.output(out, x));
            let through = scaling.through_output(&grad);
            (value, grad, through)
        });
        let grad = self.normalizer.pull_back(grad);
        (value, scaling.through_input(grad, &outputs, x))
    }

    /// What `head` makes of what the layers give of `input`, f32, and the gradient in `input`, f32,
    /// contiguous; it gives what is handed on and the gradient in what the layers gave.
    fn through<T>(&self, input: &Tensor, head: impl FnOnce(Tensor) -> (T, Tensor, Tensor)) -> (T, Tensor, Tensor) {
        let input = self.layout.arrange(input, self.kind);
        let (out, pass) = Pass::forward(&self.plan.nodes, input, &self.tensors, self.mode, self.layout);
        let size = out.size();
        let (value, kept, grad) = head(shaped(out.to_kind(Kind::Float), &self.config));
        let grad = pass.backward(grad.to_kind(self.kind).reshape(size));
        (value, kept, Layout::Contiguous.arrange(&grad, Kind::Float))
    }

    /// What the last layer is given, `[B,D]` f32: the features of an image.
    pub fn features(&self, x: &Tensor) -> Tensor {
        let (_, body) = self.plan.nodes.split_last().expect("a plan has a layer");
        let scaling = self.config.scaling(None, x);
        self.run(body, self.prepared(x, scaling.as_ref())).flatten(1, -1)
    }

    /// What the first layer gives, in f32, whatever its shape; `normalize` counts as part of it.
    pub fn first(&self, x: &Tensor) -> Tensor {
        self.run(&self.plan.nodes[..1], self.prepared(x, None))
    }

    /// The raw output from what [`first`](Self::first) gave.
    pub fn rest(&self, h: &Tensor) -> Tensor {
        // A copy: the second layer may take its input's place in memory.
        let h = h.to_kind(self.kind) * 1.0;
        shaped(self.run(&self.plan.nodes[1..], h), &self.config)
    }

    /// An image as the first layer gets it.
    fn prepared(&self, x: &Tensor, scaling: Option<&Scaling>) -> Tensor {
        let x = self.normalizer.apply(x, Kind::Float);
        let x = scaling.map_or_else(|| x.shallow_clone(), |scaling| scaling.embed(&x));
        self.layout.arrange_with_graph(&x, self.kind)
    }

    /// Some of the layers, from the copy's precision to f32.
    fn run(&self, nodes: &[Node], x: Tensor) -> Tensor {
        forward::run(nodes, x, &self.tensors, self.mode).to_kind(Kind::Float)
    }

    /// How many classes a classifier tells apart; none for an energy without classes.
    pub fn classes(&self) -> Option<i64> {
        self.plan.classes(self.config.output)
    }

    /// Whether a pass draws from torch's global generator: dropout, outside of evaluation mode.
    pub fn draws(&self) -> bool {
        self.mode != Mode::Eval && self.plan.draws()
    }

    /// The tensors that a pass reads beside the images; the copy's own memory for as long as it lives.
    pub fn tensors(&self) -> Vec<Tensor> {
        let all = self.tensors.iter().chain(self.normalizer.tensors());
        all.map(Tensor::shallow_clone).collect()
    }

    /// The architecture of the live network.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The precision that layers compute in.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How images and weights lie in memory.
    pub fn layout(&self) -> Layout {
        self.layout
    }
}

/// The live tensor that the folded one called `name` is made from.
fn source(live: &Plan, name: &str) -> Weight {
    let at = |name: &str| live.position(name);
    match at(name) {
        Some(at) => Weight { at, spectral: None },
        None => {
            let original = at(&format!("{name}_orig"));
            let mut normalised = live.spectral_weights().into_iter();
            normalised
                .find(|w| Some(w.at) == original)
                .expect("a folded weight has a normalised one in the live network")
        }
    }
}

fn drop_spectral_norm(layers: &mut [Layer]) {
    for layer in layers {
        match layer {
            Layer::Conv(conv) => conv.spectral_norm = None,
            Layer::Linear(linear) => linear.spectral_norm = None,
            Layer::Residual(block) => {
                drop_spectral_norm(&mut block.branch);
                drop_spectral_norm(&mut block.shortcut);
            }
            Layer::Repeat(repeat) => drop_spectral_norm(&mut repeat.layers),
            _ => {}
        }
    }
}
