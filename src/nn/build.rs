//! Turns a list of layers into a [`Plan`]: checks every value, works out every shape, and names every tensor.

use std::path::Path;

use super::builder::{Builder, Found, Place, shape_text};
use super::config::{Layer, NetworkConfig, Output};
use super::plan::{Activation, Node, Op, Plan, PoolBy, Slot};
use super::repeat::Written;
use super::size;
use crate::error::Result;

impl Plan {
    /// Checks an architecture and lays it out.
    ///
    /// # Errors
    /// [`Error::Config`] with `file` and the key of the first layer that cannot stand where it does.
    pub fn new(model: &NetworkConfig, file: &Path) -> Result<Plan> {
        let mut builder = Builder {
            file,
            init: model.init,
            slots: Vec::new(),
            layers: 0,
            bytes: 0,
        };
        builder.check_model(model)?;
        let layers = builder.written_out(&model.layers, "layers")?;
        let nodes = builder.stack(&layers, "", model.first_input())?;
        let last = &layers.last().expect("checked not to be empty").key;
        builder.check_output(model.output, &nodes, last)?;
        Ok(Plan {
            input: model.input.clone(),
            nodes,
            slots: builder.slots,
        })
    }
}

impl Builder<'_> {
    fn check_model(&self, model: &NetworkConfig) -> Result<()> {
        self.ensure(!model.name.is_empty(), "name", "an empty name", "the network a name")?;
        self.ensure(
            matches!(model.input.len(), 1 | 3) && model.input.iter().all(|n| *n >= 1),
            "input",
            format!("{:?}", model.input),
            "[channels, height, width] of an image or [D] of a point, each 1 or more",
        )?;
        self.check_image("input", &model.input)?;
        if let Some(std) = model.reference_std {
            self.ensure(
                std > 0.0 && std.is_finite(),
                "reference_std",
                std,
                "a number above 0, or null",
            )?;
        }
        self.check_normalize(model)?;
        self.check_levels(model)?;
        self.check_rule(model.init, "init")?;
        self.ensure(
            !model.layers.is_empty(),
            "layers",
            "an empty list",
            "at least one layer",
        )
    }

    /// An energy is one number an image, logits are a row of two or more.
    fn check_output(&self, output: Output, nodes: &[Node], last: &str) -> Result<()> {
        let shape = &nodes.last().expect("checked not to be empty").output;
        let (fits, expected, remedy) = match output {
            Output::Logits => (
                shape.len() == 1 && shape[0] >= 2,
                "a row of two or more numbers, one a class",
                "end with `linear: {out: CLASSES}`",
            ),
            Output::Energy | Output::NegativeEnergy => (
                shape.iter().all(|n| *n == 1),
                "a single number",
                "end with `linear: {out: 1}`, a convolution that leaves one number, or `sum_features`; a classifier has `output: logits`",
            ),
        };
        if fits {
            return Ok(());
        }
        Err(self.fault(
            last,
            format!(
                "the network ends in {} an image; expected {expected}",
                shape_text(shape)
            ),
            remedy,
        ))
    }

    /// Layers one after another, named by their positions.
    pub fn stack(&mut self, layers: &[Written], name: &str, input: Vec<i64>) -> Result<Vec<Node>> {
        let mut nodes: Vec<Node> = Vec::with_capacity(layers.len());
        for (i, written) in layers.iter().enumerate() {
            let input = nodes.last().map_or(&input, |n| &n.output).clone();
            let dot = if name.is_empty() { "" } else { "." };
            // What a stack itself is given may be read elsewhere, by a shortcut or by the caller.
            let owns_input = nodes.last().is_some_and(|n| n.op.gives_away_output());
            nodes.push(self.node(written, format!("{name}{dot}{i}"), &input, owns_input)?);
        }
        Ok(nodes)
    }

    pub fn node(&mut self, written: &Written, name: String, input: &[i64], owns_input: bool) -> Result<Node> {
        let own_from = self.slots.len();
        let key = format!("{}.{}", written.key, word(written.layer));
        let place = Place { key, name };
        self.count_layer(&place.key)?;
        let found = self.layer(written.layer, &place, input)?;
        self.check_image(&place.key, &found.output)?;
        let own = match found.op {
            Op::Residual { .. } => &[],
            _ => &self.slots[own_from..],
        };
        let params = own.iter().filter(|s| s.trainable).map(Slot::count).sum();
        Ok(Node {
            name: place.name,
            what: found.what,
            op: found.op,
            output: found.output,
            macs: found.macs,
            params,
            owns_input,
        })
    }

    /// The shape rule, tensors and cost of each kind of layer.
    fn layer(&mut self, layer: &Layer, at: &Place, input: &[i64]) -> Result<Found> {
        let same = |op, what: &str| Found {
            op,
            what: what.into(),
            output: input.to_vec(),
            macs: 0,
        };
        let plain = |a| Op::Activation(a);
        Ok(match layer {
            Layer::Conv(conv) => self.conv(conv, at, input)?,
            Layer::Linear(linear) => self.linear(linear, at, input)?,
            Layer::Relu => same(plain(Activation::Relu), "relu"),
            Layer::LeakyRelu { slope } => {
                self.ensure(
                    slope.is_finite(),
                    &format!("{}.slope", at.key),
                    slope,
                    "a finite number",
                )?;
                same(
                    plain(Activation::LeakyRelu(*slope)),
                    &format!("leaky relu, slope {slope}"),
                )
            }
            Layer::Silu => same(plain(Activation::Silu), "silu"),
            Layer::Elu => same(plain(Activation::Elu), "elu"),
            Layer::Softplus => same(plain(Activation::Softplus), "softplus"),
            Layer::Square => same(plain(Activation::Square), "square"),
            Layer::AvgPool(pool) => self.pool(pool, PoolBy::Average, at, input)?,
            Layer::SumPool(pool) => self.pool(pool, PoolBy::Sum, at, input)?,
            Layer::MaxPool(pool) => self.pool(pool, PoolBy::Max, at, input)?,
            Layer::GlobalAvgPool => self.global(Op::GlobalAvgPool, "average over all positions", at, input)?,
            Layer::GlobalSumPool => self.global(Op::GlobalSumPool, "sum over all positions", at, input)?,
            Layer::Flatten => Found {
                // Fits, as every shape that a layer was found to give.
                output: vec![input.iter().product()],
                ..same(Op::Flatten, "flatten")
            },
            Layer::Unflatten(unflatten) => self.unflatten(*unflatten, at, input)?,
            Layer::SumFeatures => Found {
                output: vec![1],
                ..same(Op::SumFeatures, "sum over all features")
            },
            Layer::Subsample(subsample) => self.subsample(*subsample, at, input)?,
            Layer::Upsample(upsample) => self.upsample(*upsample, at, input)?,
            Layer::Residual(block) => self.residual(block, at, input)?,
            Layer::Repeat(_) => unreachable!("repeats are written out before layers are looked at"),
            Layer::GroupNorm { groups, eps } => self.group_norm(*groups, *eps, at, input)?,
            Layer::BatchNorm(norm) => self.batch_norm(*norm, at, input)?,
            Layer::Dropout { p } => {
                self.ensure(
                    (0.0..1.0).contains(p),
                    &format!("{}.p", at.key),
                    p,
                    "a number from 0 to below 1",
                )?;
                same(Op::Dropout { p: *p }, &format!("dropout, p {p}"))
            }
        })
    }
}

impl Slot {
    /// How many numbers the tensor holds.
    pub fn count(&self) -> u64 {
        size::count(&self.shape)
    }
}

/// What a layer is called in the file.
pub(super) fn word(layer: &Layer) -> &'static str {
    match layer {
        Layer::Conv(_) => "conv",
        Layer::Linear(_) => "linear",
        Layer::Relu => "relu",
        Layer::LeakyRelu { .. } => "leaky_relu",
        Layer::Silu => "silu",
        Layer::Elu => "elu",
        Layer::Softplus => "softplus",
        Layer::Square => "square",
        Layer::AvgPool(_) => "avg_pool",
        Layer::SumPool(_) => "sum_pool",
        Layer::MaxPool(_) => "max_pool",
        Layer::GlobalAvgPool => "global_avg_pool",
        Layer::GlobalSumPool => "global_sum_pool",
        Layer::Flatten => "flatten",
        Layer::Unflatten(_) => "unflatten",
        Layer::SumFeatures => "sum_features",
        Layer::Subsample(_) => "subsample",
        Layer::Upsample(_) => "upsample",
        Layer::Residual(_) => "residual",
        Layer::Repeat(_) => "repeat",
        Layer::GroupNorm { .. } => "group_norm",
        Layer::BatchNorm(_) => "batch_norm",
        Layer::Dropout { .. } => "dropout",
    }
}
