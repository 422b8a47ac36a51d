//! The C++ shim: what of LibTorch `tch` does not reach, and the only unsafe code.

mod convolution;
pub mod cuda;

pub(crate) use convolution::{convolution_backward_image, convolution_backward_input};

mod counters;

pub use counters::{CpuBytes, count_cpu_bytes, count_reads, cpu_bytes, reads, restart_cpu_peak};

unsafe extern "C" {
    fn ebm_set_deterministic(on: bool);
    fn ebm_is_deterministic() -> bool;
    fn ebm_set_tf32(on: bool);
    fn ebm_matmul_tf32() -> bool;
    fn ebm_conv_tf32() -> bool;
    fn ebm_keep_freed_memory();
    fn ebm_flush_denormals(on: bool) -> bool;
}

/// Lets LibTorch use only algorithms that repeat bit for bit, on the whole process.
///
/// To be called before the first tensor on a CUDA device is made. An operation that has no such algorithm then ends
/// the program with its name. A CPU repeats without it.
pub fn set_deterministic(on: bool) {
    // SAFETY: takes a plain value, sets process-wide flags; called from the main thread before any work starts.
    unsafe { ebm_set_deterministic(on) }
}

/// Whether only such algorithms are used.
pub fn is_deterministic() -> bool {
    // SAFETY: reads a flag.
    unsafe { ebm_is_deterministic() }
}

/// Whether CUDA computes f32 matrix products and convolutions in TF32: 10 bits of mantissa, several times faster.
///
/// For the whole process, from the next operation on. LibTorch itself starts with it off for products and on for
/// convolutions. A CPU computes as before, and the flag may be set where there is no CUDA.
pub fn set_tf32(on: bool) {
    // SAFETY: takes a plain value and sets process-wide flags that exist in every flavour of LibTorch; throws nothing,
    // and is called from the main thread while no operation runs.
    unsafe { ebm_set_tf32(on) }
}

/// Whether TF32 is on, for matrix products and for convolutions.
pub fn tf32() -> [bool; 2] {
    // SAFETY: reads flags; both kinds of them agree, since `set_tf32` alone changes them, so neither reader throws.
    unsafe { [ebm_matmul_tf32(), ebm_conv_tf32()] }
}

/// Sets the process up for work on large tensors on a CPU: memory that tensors give back is kept for the next ones
/// instead of being mapped and zeroed anew each time, and numbers too small for full precision count as 0.
///
/// To be called once from the main thread before the first tensor is made: the threads of LibTorch inherit the second. The program
/// does; a program of one's own that uses the library is faster with it, and right without.
pub fn tune_process() {
    // SAFETY: both take plain values or none, throw nothing, and set what the C library and the processor keep for the
    // process and this thread; nothing else runs yet.
    unsafe {
        ebm_keep_freed_memory();
        ebm_flush_denormals(true);
    }
}
