//! The C++ shim: switches of LibTorch that `tch` does not reach, and the only unsafe code.

unsafe extern "C" {
    fn ebm_set_deterministic(on: bool);
    fn ebm_is_deterministic() -> bool;
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
