//! The words on a finished run.

use super::stdout::outln;
use crate::error::{Result, shown_path};
use crate::run::RunDir;
use crate::sampling::ChainClasses;
use crate::train::{ChainStart, start_words};
use crate::train::{FINAL, Results};

/// Prints the results and where the pictures are.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(results: &Results, run: &RunDir) -> Result<()> {
    let path = run.path();
    outln!(
        "\n{}: finished at step {}, {:.0} s of training",
        shown_path(path),
        results.step,
        results.seconds
    )?;
    let grid = path.join(FINAL);
    if grid.is_file() {
        let e = run.experiment().ok();
        match e.as_ref().is_some_and(|e| e.space().image().is_none()) {
            true => outln!("  density, samples and data:     {}", shown_path(&grid))?,
            false => outln!("  images synthesised:            {}", shown_path(&grid))?,
        }
        if let Some(e) = e.filter(|e| e.synthesises()) {
            let classes = e.chain_classes() == ChainClasses::Kept;
            let start = start_words(ChainStart::Noise, &e, classes);
            outln!("  their chains start from:       {start}")?;
        }
    }
    outln!(
        "  training curves:               {}",
        shown_path(&path.join("curves.png"))
    )?;
    if let Some(c) = &results.classification {
        outln!(
            "\nclassification of {} test images: accuracy {:.2} %, NLL {:.4}, ECE {:.2} %",
            c.images,
            100.0 * c.accuracy,
            c.nll,
            100.0 * c.ece
        )?;
    }
    if let Some(distance) = results.total_variation {
        outln!(
            "\ntotal variation between the learned density and that of the data: {distance:.3} (0 is the same, 1 disjoint)"
        )?;
    }
    if let Some(ood) = &results.ood {
        outln!("\nout of distribution, by energy (test images against each set; 1 is perfect, 0.5 is chance)\n")?;
        outln!("{ood}")?;
    }
    Ok(())
}
