//! The C++ shim: what of LibTorch `tch` does not reach, and the only unsafe code.

use std::ffi::c_int;

mod convolution;
pub mod cuda;

pub(crate) use convolution::{convolution_backward_image, convolution_backward_input};

mod counters;
mod descriptors;

pub(crate) use descriptors::{descriptor, ignores, may_write};

pub use counters::{CpuBytes, count_cpu_bytes, count_reads, cpu_bytes, reads, restart_cpu_peak};

unsafe extern "C" {
    fn ebm_set_deterministic(on: bool) -> c_int;
    fn ebm_is_deterministic() -> c_int;
    fn ebm_set_tf32(on: bool) -> c_int;
    fn ebm_matmul_tf32() -> c_int;
    fn ebm_conv_tf32() -> c_int;
    fn ebm_keep_freed_memory();
    fn ebm_flush_denormals(on: bool) -> bool;
}

/// Lets LibTorch use only algorithms that repeat bit for bit, on the whole process, from the next
/// operation on.
///
/// An operation that has no such algorithm then ends the program with its name. A CPU repeats
/// without it. On CUDA the environment must hold `CUBLAS_WORKSPACE_CONFIG=:4096:8` from the start
/// of the process; LibTorch refuses products otherwise.
///
/// # Panics
/// If LibTorch refuses.
pub fn set_deterministic(on: bool) {
    // SAFETY: takes a plain value, sets process-wide flags that operations read as they start; exceptions end inside.
    answer(unsafe { ebm_set_deterministic(on) }, "the deterministic mode");
}

/// Whether only such algorithms are used.
///
/// # Panics
/// If LibTorch does not tell.
pub fn is_deterministic() -> bool {
    // SAFETY: reads a flag; exceptions end inside.
    answer(unsafe { ebm_is_deterministic() }, "the deterministic mode")
}

/// Whether CUDA computes f32 matrix products and convolutions in TF32: 10 bits of mantissa, several times faster.
///
/// For the whole process, from the next operation on. LibTorch itself starts with it off for products and on for
/// convolutions. A CPU computes as before, and the flag may be set where there is no CUDA.
///
/// # Panics
/// If LibTorch refuses.
pub fn set_tf32(on: bool) {
    // SAFETY: takes a plain value and sets process-wide flags that exist in every flavour of LibTorch; exceptions end
    // inside.
    answer(unsafe { ebm_set_tf32(on) }, "TF32");
}

/// Whether TF32 is on, for matrix products and for convolutions.
///
/// # Panics
/// If LibTorch does not tell, as where its older and newer flags were set apart.
pub fn tf32() -> [bool; 2] {
    // SAFETY: reads flags; exceptions end inside.
    let found = unsafe { [ebm_matmul_tf32(), ebm_conv_tf32()] };
    found.map(|flag| answer(flag, "TF32"))
}

/// What the shim found: 1, 0, or -1 where LibTorch threw.
fn answer(found: c_int, what: &str) -> bool {
    assert!(found >= 0, "LibTorch refuses to set or tell {what}");
    found == 1
}

/// Keeps the memory that tensors give back for the next ones, instead of having it mapped and zeroed anew each time.
pub(crate) fn keep_freed_memory() {
    // SAFETY: takes nothing, throws nothing, and sets how the C library keeps memory for the process.
    unsafe { ebm_keep_freed_memory() }
}

/// Counts numbers too small for full precision as 0, on this thread and on those that it will start.
pub(crate) fn flush_denormals() {
    // SAFETY: takes a plain value, throws nothing, and sets a flag of the processor for this thread.
    unsafe { ebm_flush_denormals(true) };
}
