//! A frozen copy of a network: what chains run on while the live network is left alone.

use tch::{Kind, Tensor};

use super::network::{Mode, Network};
use super::plan::{Plan, Weight};
use super::{forward, spectral};
use crate::config::{Layer, ModelConfig};

/// A network in evaluation mode whose tensors never require gradients; spectral norm is folded into plain weights.
#[derive(Debug)]
pub struct Frozen {
    config: ModelConfig,
    kind: Kind,
    plan: Plan,
    tensors: Vec<Tensor>,
    /// Where each tensor comes from in the live network.
    sources: Vec<Weight>,
}

impl Frozen {
    pub(super) fn new(live: &Network, kind: Kind) -> Frozen {
        let config = live.config().clone();
        let mut folded = config.clone();
        drop_spectral_norm(&mut folded.layers);
        let plan = Plan::new(&folded, config.name.as_ref()).expect("the live network was built from the same layers");
        let tensors = plan
            .slots
            .iter()
            .map(|s| {
                let kind = if s.reducible { kind } else { s.kind };
                Tensor::empty(&s.shape, (kind, live.device()))
            })
            .collect();
        let sources = plan.slots.iter().map(|s| source(&live.plan, &s.name)).collect();
        let mut frozen = Frozen {
            config,
            kind,
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

    /// The network's raw number for each image: `[B,C,H,W]` f32 to `[B]` f32, differentiable in the image alone.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let x = x.to_kind(self.kind);
        let out = forward::run(&self.plan.nodes, x, &self.tensors, Mode::Eval);
        out.reshape([-1]).to_kind(Kind::Float)
    }

    /// The architecture of the live network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The precision that layers compute in.
    pub fn kind(&self) -> Kind {
        self.kind
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
            _ => {}
        }
    }
}
