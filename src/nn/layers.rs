//! The shape rule, the tensors and the cost of each kind of layer.

use tch::Kind;

use super::builder::{Builder, Found, Place, shape_text};
use super::config::{Conv, Init, Linear, Norm, Pool, SpectralNorm};
use super::plan::{Op, PoolBy, Slot, Spectral, Start, Weight};
use super::size;
use crate::error::Result;

impl Builder<'_> {
    pub(super) fn conv(&mut self, conv: &Conv, at: &Place, input: &[i64]) -> Result<Found> {
        let [channels, height, width] = self.image(at, input)?;
        self.at_least(1, &format!("{}.out", at.key), conv.out)?;
        let positions = self.window(at, "kernel", conv.kernel, conv.stride, conv.padding, [height, width])?;
        let shape = vec![conv.out, channels, conv.kernel, conv.kernel];
        let (weight, bias) = self.weight(shape, conv.bias, conv.spectral_norm, conv.init, at)?;
        let Conv {
            kernel,
            stride,
            padding,
            ..
        } = *conv;
        let mut what = format!("conv {kernel}x{kernel}, stride {stride}, padding {padding}");
        what += if conv.spectral_norm.is_some() {
            ", spectral norm"
        } else {
            ""
        };
        Ok(Found {
            op: Op::Conv {
                weight,
                bias,
                stride,
                padding,
            },
            what,
            output: vec![conv.out, positions[0], positions[1]],
            macs: size::count(&[conv.out, channels, kernel, kernel, positions[0], positions[1]]),
        })
    }

    pub(super) fn linear(&mut self, linear: &Linear, at: &Place, input: &[i64]) -> Result<Found> {
        self.at_least(1, &format!("{}.out", at.key), linear.out)?;
        let [features] = input else {
            return Err(self.fault(
                &at.key,
                format!(
                    "expected one row of numbers an image, found a shape of {}",
                    shape_text(input)
                ),
                "put `flatten` or a global pool before it",
            ));
        };
        let shape = vec![linear.out, *features];
        let (weight, bias) = self.weight(shape, linear.bias, linear.spectral_norm, linear.init, at)?;
        let what = if linear.spectral_norm.is_some() {
            "linear, spectral norm"
        } else {
            "linear"
        };
        Ok(Found {
            op: Op::Linear { weight, bias },
            what: what.into(),
            output: vec![linear.out],
            macs: size::count(&[linear.out, *features]),
        })
    }

    pub(super) fn pool(&self, pool: &Pool, by: PoolBy, at: &Place, input: &[i64]) -> Result<Found> {
        let [channels, height, width] = self.image(at, input)?;
        let stride = pool.stride.unwrap_or(pool.size);
        let positions = self.window(at, "size", pool.size, stride, pool.padding, [height, width])?;
        self.ensure(
            pool.padding <= pool.size / 2,
            &format!("{}.padding", at.key),
            pool.padding,
            "at most half of the size",
        )?;
        let name = match by {
            PoolBy::Average => "average",
            PoolBy::Sum => "sum",
            PoolBy::Max => "maximum",
        };
        let Pool { size, padding, .. } = *pool;
        Ok(Found {
            op: Op::Pool {
                by,
                size,
                stride,
                padding,
            },
            what: format!("{name} pool {size}x{size}, stride {stride}"),
            output: vec![channels, positions[0], positions[1]],
            macs: 0,
        })
    }

    pub(super) fn global(&self, op: Op, what: &str, at: &Place, input: &[i64]) -> Result<Found> {
        let [channels, ..] = self.image(at, input)?;
        Ok(Found {
            op,
            what: what.into(),
            output: vec![channels],
            macs: 0,
        })
    }

    pub(super) fn group_norm(&mut self, groups: i64, eps: f64, at: &Place, input: &[i64]) -> Result<Found> {
        let channels = input[0];
        let key = format!("{}.groups", at.key);
        self.at_least(1, &key, groups)?;
        self.ensure(eps > 0.0, &format!("{}.eps", at.key), eps, "a number above 0")?;
        if channels % groups != 0 {
            return Err(self.fault(
                &key,
                format!("{groups} groups do not divide {channels} channels"),
                format!("give a divisor of {channels}"),
            ));
        }
        let weight = self.slot(at, "weight", vec![channels], Start::Ones, true, true);
        let bias = self.slot(at, "bias", vec![channels], Start::Zeros, true, true);
        Ok(Found {
            op: Op::GroupNorm {
                groups,
                eps,
                weight,
                bias,
            },
            what: format!("group norm, {groups} groups"),
            output: input.to_vec(),
            macs: 0,
        })
    }

    pub(super) fn batch_norm(&mut self, norm: Norm, at: &Place, input: &[i64]) -> Result<Found> {
        let channels = vec![input[0]];
        self.ensure(norm.eps > 0.0, &format!("{}.eps", at.key), norm.eps, "a number above 0")?;
        self.ensure(
            (0.0..=1.0).contains(&norm.momentum),
            &format!("{}.momentum", at.key),
            norm.momentum,
            "a number from 0 to 1",
        )?;
        // Held in f32 always: a running variance loses too much in eight bits.
        let first = self.slot(at, "weight", channels.clone(), Start::Ones, true, false);
        self.slot(at, "bias", channels.clone(), Start::Zeros, true, false);
        self.slot(at, "running_mean", channels.clone(), Start::Zeros, false, false);
        self.slot(at, "running_var", channels, Start::Ones, false, false);
        let seen = self.slot(at, "num_batches_tracked", vec![], Start::Zeros, false, false);
        self.slots[seen].kind = Kind::Int64;
        Ok(Found {
            op: Op::BatchNorm { norm, first },
            what: "batch norm".into(),
            output: input.to_vec(),
            macs: 0,
        })
    }

    /// A weight and its bias; PyTorch lists the bias first where the weight is normalised.
    fn weight(
        &mut self,
        shape: Vec<i64>,
        bias: bool,
        norm: Option<SpectralNorm>,
        init: Option<Init>,
        at: &Place,
    ) -> Result<(Weight, Option<usize>)> {
        let rule = init.unwrap_or(self.init);
        self.check_rule(rule, &format!("{}.init", at.key))?;
        self.reserve(&at.key, &shape)?;
        let (out, fan_in) = (shape[0], shape[1..].iter().product());
        let start = Start::Bias(rule, fan_in);
        let Some(config) = norm else {
            let weight = self.slot(at, "weight", shape, Start::Weight(rule), true, true);
            let bias = bias.then(|| self.slot(at, "bias", vec![out], start, true, true));
            return Ok((
                Weight {
                    at: weight,
                    spectral: None,
                },
                bias,
            ));
        };
        let key = format!("{}.spectral_norm", at.key);
        self.at_least(0, &format!("{key}.iterations"), config.iterations)?;
        self.ensure(config.eps > 0.0, &format!("{key}.eps"), config.eps, "a number above 0")?;
        let bias = bias.then(|| self.slot(at, "bias", vec![out], start, true, true));
        // Held in f32 always: it is reduced once it is normalised.
        let weight = self.slot(at, "weight_orig", shape, Start::Weight(rule), true, false);
        let u = self.slot(at, "weight_u", vec![out], Start::Direction, false, false);
        let v = self.slot(at, "weight_v", vec![fan_in], Start::Direction, false, false);
        let spectral = Some(Spectral { config, u, v });
        Ok((Weight { at: weight, spectral }, bias))
    }

    fn slot(
        &mut self,
        at: &Place,
        tensor: &str,
        shape: Vec<i64>,
        start: Start,
        trainable: bool,
        reducible: bool,
    ) -> usize {
        self.slots.push(Slot {
            name: at.tensor(tensor),
            shape,
            kind: Kind::Float,
            start,
            trainable,
            reducible,
        });
        self.slots.len() - 1
    }

    /// The input as channels, height and width.
    pub(super) fn image(&self, at: &Place, input: &[i64]) -> Result<[i64; 3]> {
        input.try_into().map_err(|_| {
            self.fault(
                &at.key,
                format!(
                    "expected channels, height and width, found a row of {} numbers",
                    shape_text(input)
                ),
                "put it before `flatten`, the global pools and `linear`",
            )
        })
    }

    /// How many positions a window has along each side.
    fn window(
        &self,
        at: &Place,
        size_key: &str,
        size: i64,
        stride: i64,
        padding: i64,
        sides: [i64; 2],
    ) -> Result<[i64; 2]> {
        let key = |k: &str| format!("{}.{k}", at.key);
        self.at_least(1, &key(size_key), size)?;
        self.at_least(1, &key("stride"), stride)?;
        self.at_least(0, &key("padding"), padding)?;
        let padded = self.padded(&key("padding"), sides, padding)?;
        if padded.iter().any(|side| *side < size) {
            return Err(self.fault(
                &key(size_key),
                format!(
                    "a window of {size}x{size} does not fit into {} with a padding of {padding}",
                    shape_text(&sides)
                ),
                "give a smaller window, more padding, or fewer strides before it",
            ));
        }
        Ok(padded.map(|side| (side - size) / stride + 1))
    }
}
