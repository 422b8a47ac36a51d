//! Counters for tests and benchmarks: bytes of tensors on the CPU, and how often the host reads a tensor's value.

use crate::error::{Error, Result};

unsafe extern "C" {
    fn ebm_count_cpu_bytes() -> bool;
    fn ebm_cpu_bytes(now: *mut u64, peak: *mut u64) -> bool;
    fn ebm_restart_cpu_peak() -> bool;
    fn ebm_count_reads() -> bool;
    fn ebm_reads() -> u64;
}

/// Bytes that tensors on the CPU were given, as they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuBytes {
    /// At present.
    pub now: u64,
    /// The most at any time since counting began, or since [`restart_cpu_peak`].
    pub peak: u64,
}

/// Counts the bytes of tensors on the CPU from now on, for the whole process; what is there already is not counted.
///
/// LibTorch's CPU allocator is wrapped, so that every tensor and every buffer of an operator is seen, those of oneDNN
/// among them. Another call changes nothing.
///
/// # Errors
/// When the allocator in use cannot be wrapped.
///
/// # Safety
/// No other thread runs an operation of LibTorch meanwhile: it would read the allocator while that is replaced.
pub unsafe fn count_cpu_bytes() -> Result<()> {
    // SAFETY: replaces LibTorch's CPU allocator by one that frees every block, older ones too, as the old one would;
    // nobody reads it meanwhile, as the caller promises, and exceptions end inside.
    let counted = unsafe { ebm_count_cpu_bytes() };
    done(counted, "LibTorch's CPU allocator cannot be wrapped to count bytes")
}

/// The bytes counted; all 0 before [`count_cpu_bytes`].
///
/// # Panics
/// If the system gives no lock.
pub fn cpu_bytes() -> CpuBytes {
    let (mut now, mut peak) = (0, 0);
    // SAFETY: writes two numbers to where the pointers lead, which is on this stack.
    let read = unsafe { ebm_cpu_bytes(&mut now, &mut peak) };
    assert!(read, "the count of bytes cannot be locked");
    CpuBytes { now, peak }
}

/// Lets the peak begin anew from the bytes of now.
///
/// # Panics
/// If the system gives no lock.
pub fn restart_cpu_peak() {
    // SAFETY: sets a number behind a lock.
    let set = unsafe { ebm_restart_cpu_peak() };
    assert!(set, "the count of bytes cannot be locked");
}

/// Counts from now on how often the host reads a value, or a shape that depends on values, of a tensor.
///
/// Operators of LibTorch that do so are counted for the whole process. What `tch` copies out of a tensor's memory passes
/// no operator: it is counted in this project's tests alone, whose linking sees to it.
///
/// # Errors
/// When LibTorch takes no observer.
pub fn count_reads() -> Result<()> {
    // SAFETY: registers, behind a lock of LibTorch's, an observer that increments a number; exceptions end inside.
    let counted = unsafe { ebm_count_reads() };
    done(counted, "LibTorch takes no observer that counts reads")
}

/// The reads counted since the process began.
pub fn reads() -> u64 {
    // SAFETY: reads an atomic number.
    unsafe { ebm_reads() }
}

fn done(holds: bool, what: &str) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::input(
            "ffi",
            what,
            "use the LibTorch that download_libtorch.sh installs",
        )),
    }
}
