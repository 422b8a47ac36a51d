//! What an architecture comes to, found without a single tensor.

use std::fmt;
use std::path::Path;

use super::builder::shape_text;
use super::config::NetworkConfig;
use super::plan::{Node, Op, Plan};
use super::size;
use crate::error::Result;

/// An architecture, layer by layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The shape of a state.
    pub input: Vec<i64>,
    /// The layers in the order they are computed; a residual block comes after what it adds up.
    pub rows: Vec<Row>,
    /// Trainable numbers.
    pub params: u64,
    /// Multiply-accumulates of convolutions and linear layers for the energy of one image.
    pub macs: u64,
    /// Shape of what comes out, without the batch: one number, or one a class.
    pub output: Vec<i64>,
    /// Numbers an image at the layer where it has most.
    pub widest: u64,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name its tensors begin with, as PyTorch has it: `6.branch.0`.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// Shape of what comes out, without the batch.
    pub output: Vec<i64>,
    /// Trainable numbers.
    pub params: u64,
    /// Multiply-accumulates an image.
    pub macs: u64,
}

/// Works out the shapes, names and costs of an architecture; makes no tensor.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) with `file` and a key such as `layers[3].conv.kernel`: a value out of range,
/// a layer that does not fit what comes before it, or an end that is neither one number an image nor one a class.
pub fn describe(model: &NetworkConfig, file: &Path) -> Result<Summary> {
    let plan = Plan::new(model, file)?;
    let mut rows = Vec::new();
    list(&plan.nodes, &mut rows);
    Ok(Summary {
        input: plan.input,
        params: rows.iter().map(|r| r.params).sum(),
        macs: rows.iter().fold(0, |sum, r| r.macs.saturating_add(sum)),
        output: plan.nodes.last().map(|n| n.output.clone()).unwrap_or_default(),
        widest: rows.iter().map(|r| size::count(&r.output)).max().unwrap_or(0),
        rows,
    })
}

fn list(nodes: &[Node], rows: &mut Vec<Row>) {
    for node in nodes {
        if let Op::Residual { branch, shortcut, .. } = &node.op {
            list(branch, rows);
            list(shortcut, rows);
        }
        rows.push(Row {
            name: node.name.clone(),
            what: node.what.clone(),
            output: node.output.clone(),
            params: node.params,
            macs: node.macs,
        });
    }
}

/// A table for people, one line a layer and a last line with the sums.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names = self.rows.iter().map(|r| r.name.len()).max().unwrap_or(0).max(5);
        let whats = self.rows.iter().map(|r| r.what.len()).max().unwrap_or(0).max(5);
        let mut line = |name: &str, what: &str, shape: &str, params: &str, macs: &str| {
            writeln!(
                f,
                "{name:<names$}  {what:<whats$}  {shape:>12}  {params:>12}  {macs:>15}"
            )
        };
        line("name", "layer", "output", "parameters", "MACs")?;
        let what = if self.input.len() == 3 { "image" } else { "point" };
        line("", what, &shape_text(&self.input), "", "")?;
        for r in &self.rows {
            line(
                &r.name,
                &r.what,
                &shape_text(&r.output),
                &thousands(r.params),
                &thousands(r.macs),
            )?;
        }
        line("total", "", "", &thousands(self.params), &thousands(self.macs))
    }
}

/// A count with commas between thousands.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
