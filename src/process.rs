//! A process on a CPU: how its threads wait, what becomes of freed memory, the smallest numbers,
//! how much it takes.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::ffi;

/// How often a thread of LibTorch looks again, before it sleeps, whether the others are done.
const SPINS: &str = "GOMP_SPINCOUNT";

/// About 20 microseconds. LibTorch's OpenMP looks for some milliseconds by itself: on a busy machine it keeps from the
/// processor the very thread that it waits for, at every layer.
const FEW: &str = "1000";

/// Sets the process up for work on large tensors on a CPU: threads wait briefly for each other, memory that tensors give
/// back is kept for the next ones instead of being mapped and zeroed anew each time, and numbers too small for full
/// precision count as 0.
///
/// To be called once from the main thread, before the first tensor is made and before anything is done that must not be
/// done twice: the first of these is read from the environment while the program is loaded, so unless `GOMP_SPINCOUNT` or
/// `OMP_WAIT_POLICY` says how threads wait, the process starts its program anew, with the same arguments. The program
/// `ebm` calls this; one of your own that uses the library is faster with it, and right without.
pub fn tune() {
    if [SPINS, "OMP_WAIT_POLICY"].iter().all(|v| env::var_os(v).is_none()) {
        restart(SPINS, FEW);
    }
    ffi::keep_freed_memory();
    ffi::flush_denormals();
}

/// Lets cuBLAS repeat bit for bit: it reads from the environment, as the process starts, in how
/// much memory it works.
///
/// To be called as [`tune`] is; unless the environment says something already, the process starts
/// its program anew.
pub fn repeat_products() {
    const WORK_SPACE: &str = "CUBLAS_WORKSPACE_CONFIG";
    if env::var_os(WORK_SPACE).is_none() {
        restart(WORK_SPACE, ":4096:8");
    }
}

/// The most memory in bytes that the process has had at any time; none where the system does not
/// tell.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Starts the program anew with a variable set. Comes back only where that cannot be; the program
/// works as it is, too.
fn restart(variable: &str, value: &str) {
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut args = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let _ = command.args(args).env(variable, value).exec();
}
