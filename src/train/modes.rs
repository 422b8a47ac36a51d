//! What an experiment asks of LibTorch for the whole process.

use crate::experiment::{Experiment, TrainPrecision};
use crate::ffi;

/// Sets what the experiment asks of CUDA: TF32, and algorithms that repeat bit for bit.
///
/// [`ffi::set_deterministic`] says what these need of the environment.
pub fn set_modes(e: &Experiment) {
    ffi::set_tf32(e.train.precision == TrainPrecision::Tf32);
    if e.deterministic {
        ffi::set_deterministic(true);
    }
}
