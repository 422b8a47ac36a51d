//! What was measured as a table for people, in Markdown.

use tch::Kind;

use crate::machine;
use crate::row::{Measured, Row, kind_of, word};

pub const HEADER: &str = "\
| network | batch | K | chain in | chain, images x steps/s | of GEMM | step, images x steps/s | s a step | of GEMM | memory, MiB |
|---|---:|---:|---|---:|---:|---:|---:|---:|---:|";

/// A line of what was measured; the precision that the program chooses by itself is marked.
pub fn line(row: &Row, m: &Measured) -> String {
    let (chain, step) = (m.chain, m.train.unwrap_or(f64::NAN));
    let images_x_steps = (row.batch * row.steps) as f64;
    let [chain_ideal, train_ideal] = ideal(row, m);
    format!(
        "{} {} {}{} | {:.0} | {} | {:.0} | {:.3} | {} | {} |",
        start(row),
        word(&m.precision),
        word(&m.layout),
        if m.shipped { " *" } else { "" },
        images_x_steps / chain,
        percent(chain_ideal / chain),
        images_x_steps / step,
        step,
        percent((chain_ideal + train_ideal) / step),
        m.peak.map_or("-".into(), |bytes| (bytes >> 20).to_string()),
    )
}

/// A line of what was left out, and why.
pub fn left_out(row: &Row, why: &str) -> String {
    format!("{} {} | {why} | | | | | |", start(row), word(&row.precision))
}

fn start(row: &Row) -> String {
    let name = row.network.file_stem().unwrap_or_default().to_string_lossy();
    format!("| {name} | {} | {} |", row.batch, row.steps)
}

/// The seconds that a chain, and the passes that train, would take at the rate of matrix products.
///
/// A chain's step is two forward passes' worth of arithmetic, a training pass three, over data and over synthesised images;
/// a multiply-accumulate is two operations.
fn ideal(row: &Row, m: &Measured) -> [f64; 2] {
    let forward = 2.0 * m.macs as f64 * row.batch as f64;
    let rate = |kind| match kind {
        Kind::BFloat16 => m.gemm[1],
        _ => m.gemm[0],
    };
    let seconds = |flops: f64, kind| flops / rate(kind).unwrap_or(f64::NAN);
    [
        seconds(2.0 * forward * row.steps as f64, ebm::models::kind_of(m.precision)),
        seconds(2.0 * 3.0 * forward, kind_of(row.train_precision)),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The rates of matrix products over all rows, and what the columns mean.
pub fn footer(all: &[Measured], limit: f64) -> String {
    let rate = |at: usize| {
        let rates: Vec<f64> = all.iter().filter_map(|m| m.gemm[at]).collect();
        format!("{:.0}", machine::median(&rates) / 1e9)
    };
    format!(
        "\nGEMM, best of three square sizes, median over the rows: {} GFLOP/s in f32, {} in bf16.\n\
         \"of GEMM\": the counted operations (2 forward passes a chain step; 3 a training pass over positives and over \
         negatives; 1 MAC = 2) at the rate of GEMM of the same precision, timed in turn with the row, over the time taken.\n\
         A step is a whole step of training with persistent chains; its images x steps are those of its chains.\n\
         Memory: the peak of a process that runs this row alone, with LibTorch and a buffer of 1,000 chains.\n\
         * what `precision: auto` chooses. Rows that would take more than {limit:.0} s are left out.",
        rate(0),
        rate(1),
    )
}
