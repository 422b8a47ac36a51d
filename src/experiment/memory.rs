//! Refuses what memory cannot hold, by sums that are made before anything is allocated.
//!
//! The sums count what is needed for certain: what they refuse could not have run, and what they
//! pass may still be too large for the layers' own intermediate results.

use std::path::Path;

use tch::{Cuda, Device};

use super::Experiment;
use crate::config::yaml;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::memory::{UNKNOWN, available, product, words};
use crate::nn::Summary;
use crate::optim::Algorithm;
use crate::sampling::replay::Storage;

/// Bytes of a number, f32.
const NUMBER: u64 = 4;

/// Strokes that are drawn at once.
const STROKES: u64 = 4096;

/// A key and the bytes that its value asks for.
type Need = (&'static str, u64);

/// Refuses an experiment whose network, batches, chains or pictures cannot lie in memory, by the
/// key that asks for most.
///
/// # Errors
/// Names the key, what it needs and what is there.
pub fn ensure_experiment(e: &Experiment, summary: &Summary, file: &Path) -> Result<()> {
    let needs = needs(e, summary);
    let all = needs.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    let there = limit(on_cuda(&e.device));
    if all <= there {
        return Ok(());
    }
    let (key, bytes) = needs
        .into_iter()
        .max_by_key(|(_, bytes)| *bytes)
        .expect("there are needs");
    Err(yaml::config(
        file,
        key,
        format!("{}, {} in all", takes(bytes, there), words(all)),
        "give a smaller number",
    ))
}

/// Refuses more images than memory holds while chains make them; `option` says how many.
///
/// # Errors
/// Names the option, what it needs and what is there.
pub fn ensure_images(option: &str, n: i64, shape: &[i64], device: Device) -> Result<()> {
    // Starts, ends, and the levels that are written.
    let bytes = product(&[n.max(0) as u64, pixels(shape), 2 * NUMBER + 1]);
    let there = limit(device.is_cuda());
    if bytes <= there {
        return Ok(());
    }
    Err(Error::input(option, takes(bytes, there), "ask for fewer images"))
}

fn takes(bytes: u64, there: u64) -> String {
    format!(
        "takes {} of memory at least, and {} are available",
        words(bytes),
        words(there)
    )
}

/// The memory of a GPU is not known here: what no GPU has is refused.
fn limit(cuda: bool) -> u64 {
    if cuda { UNKNOWN } else { available() }
}

fn on_cuda(device: &str) -> bool {
    device.starts_with("cuda") || (device == "auto" && Cuda::is_available())
}

/// Numbers of a state.
fn pixels(shape: &[i64]) -> u64 {
    product(&shape.iter().map(|n| (*n).max(0) as u64).collect::<Vec<_>>())
}

/// What each key asks for at least.
fn needs(e: &Experiment, summary: &Summary) -> Vec<Need> {
    let pixels = pixels(e.model.input());
    let images = |n: usize, numbers: u64, bytes: u64| product(&[n as u64, numbers, bytes]);
    // Weights, their gradients, the optimiser's moments, the moving average.
    let moments = match e.optimizer.algorithm {
        Algorithm::Sgd { momentum, .. } => u64::from(momentum > 0.0),
        _ => 2,
    };
    let copies = 2 + moments + u64::from(e.optimizer.ema.is_some());
    let of_batch = pixels.saturating_add(summary.widest);
    let mut needs = vec![
        ("model", product(&[summary.params, copies, NUMBER])),
        ("train.batch_size", images(e.train.batch_size, of_batch, NUMBER)),
        ("report.images", images(e.report.images, pixels, 2 * NUMBER + 1)),
        ("evaluate.images", images(e.evaluate.images, pixels, 2 * NUMBER + 1)),
    ];
    if let Some(n) = e.train.labelled_batch_size {
        needs.push(("train.labelled_batch_size", images(n, of_batch, NUMBER)));
    }
    if let Some(term) = &e.objective.cooperative {
        let generator = product(&[term.parameters(&e.space()), copies, NUMBER]);
        needs.push(("objective.cooperative.hidden", generator));
    }
    if e.uses_buffer() {
        needs.push(("buffer.size", buffer(e)));
    }
    if let Dataset::Strokes(s) = &e.data.dataset {
        let side = s.size as u64;
        let drawn = product(&[STROKES.min(s.count as u64), side, side, NUMBER]);
        let kept = product(&[s.count as u64, side, side]);
        needs.push(("data.dataset.strokes.count", kept.saturating_add(drawn)));
    }
    needs
}

/// Bytes of the stored chains and their replicas, with their ages and counts.
fn buffer(e: &Experiment) -> u64 {
    let stored = match e.buffer.storage {
        Storage::U8 => 1,
        Storage::F32 => NUMBER,
    };
    let states = 1 + e.kept_replicas() as u64;
    let chain = product(&[pixels(e.model.input()), stored, states]).saturating_add(16);
    product(&[e.buffer.size as u64, chain])
}

/// Refuses a buffer that memory does not hold, of a run whose chains are to be read.
///
/// # Errors
/// Names the key, what it needs and what is there.
pub fn ensure_buffer(e: &Experiment, file: &Path, device: Device) -> Result<()> {
    let (bytes, there) = (buffer(e), limit(device.is_cuda()));
    if bytes <= there {
        return Ok(());
    }
    Err(yaml::config(
        file,
        "buffer.size",
        takes(bytes, there),
        "use --from noise or --from data",
    ))
}
