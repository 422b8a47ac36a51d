//! Residual blocks, the shortcut that has no parameters, and the way back from fewer pixels.

use super::builder::{Builder, Found, Place, shape_text};
use super::config::{Join, Residual, Subsample, Unflatten, Upsample};
use super::plan::Op;
use crate::error::Result;

impl Builder<'_> {
    pub(super) fn subsample(&self, subsample: Subsample, at: &Place, input: &[i64]) -> Result<Found> {
        let [channels, height, width] = self.image(at, input)?;
        let Subsample { out, stride } = subsample;
        self.at_least(1, &format!("{}.stride", at.key), stride)?;
        self.at_least(channels, &format!("{}.out", at.key), out)?;
        let before = (out - channels) / 2;
        Ok(Found {
            op: Op::Subsample {
                stride,
                padding: [before, out - channels - before],
            },
            what: format!("subsample, stride {stride}, {} channels of zeroes", out - channels),
            output: vec![out, (height - 1) / stride + 1, (width - 1) / stride + 1],
            macs: 0,
        })
    }

    pub(super) fn unflatten(&self, unflatten: Unflatten, at: &Place, input: &[i64]) -> Result<Found> {
        let Unflatten {
            channels,
            height,
            width,
        } = unflatten;
        let key = |k: &str| format!("{}.{k}", at.key);
        self.at_least(1, &key("channels"), channels)?;
        self.at_least(1, &key("height"), height)?;
        self.at_least(1, &key("width"), width)?;
        let numbers = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        if input.len() != 1 || numbers != Some(input[0]) {
            return Err(self.fault(
                &at.key,
                format!("{channels}x{height}x{width} numbers of {}", shape_text(input)),
                "put it behind a `linear` that gives as many numbers",
            ));
        }
        let output = [channels, height, width];
        Ok(Found {
            op: Op::Unflatten(output),
            what: format!("unflatten, {}", shape_text(&output)),
            output: output.to_vec(),
            macs: 0,
        })
    }

    pub(super) fn upsample(&self, upsample: Upsample, at: &Place, input: &[i64]) -> Result<Found> {
        let [channels, height, width] = self.image(at, input)?;
        let (factor, key) = (upsample.factor, format!("{}.factor", at.key));
        self.at_least(1, &key, factor)?;
        let side = |side: i64| side.checked_mul(factor);
        let (Some(height), Some(width)) = (side(height), side(width)) else {
            return Err(self.fault(&key, format!("{factor} times an image"), "give a smaller factor"));
        };
        Ok(Found {
            op: Op::Upsample { factor },
            what: format!("upsample, factor {factor}"),
            output: vec![channels, height, width],
            macs: 0,
        })
    }

    pub(super) fn residual(&mut self, block: &Residual, at: &Place, input: &[i64]) -> Result<Found> {
        self.ensure(
            !block.branch.is_empty(),
            &format!("{}.branch", at.key),
            "an empty branch",
            "at least one layer",
        )?;
        let name = |part: &str| format!("{}.{part}", at.name);
        let branch = self.written_out(&block.branch, &format!("{}.branch", at.key))?;
        let branch = self.stack(&branch, &name("branch"), input.to_vec())?;
        let shortcut = self.written_out(&block.shortcut, &format!("{}.shortcut", at.key))?;
        let shortcut = match shortcut.as_slice() {
            [only] => vec![self.node(only, name("shortcut"), input, false)?],
            several => self.stack(several, &name("shortcut"), input.to_vec())?,
        };
        let long = &branch.last().expect("checked not to be empty").output;
        let short = shortcut.last().map_or(input, |n| &n.output);
        if long != short {
            return Err(self.fault(
                &at.key,
                format!(
                    "the branch gives {} and the shortcut {}; they are joined and must agree",
                    shape_text(long),
                    shape_text(short)
                ),
                "give the shortcut a convolution with kernel 1 and the branch's channels and stride, or mend the branch",
            ));
        }
        Ok(Found {
            output: long.clone(),
            op: Op::Residual {
                branch,
                shortcut,
                join: block.join,
            },
            what: match block.join {
                Join::Sum => "branch + shortcut".into(),
                Join::Product => "branch * shortcut".into(),
            },
            macs: 0,
        })
    }
}
