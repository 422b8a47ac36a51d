//! What is known of the machine: its processor, its memory, its clock.

use std::fs;
use std::process::Command;

use tch::{Cuda, Device};

/// Waits until the device has done what it was given.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// The most memory so far, in bytes: of this process, or on the CUDA device; `None` where that is not known.
pub fn peak_memory(device: Device) -> Option<u64> {
    match device {
        Device::Cpu => status("VmHWM"),
        Device::Cuda(index) => ebm::ffi::cuda::memory(index).ok().map(|[_, peak]| peak),
        _ => None,
    }
}

/// A line of /proc/self/status in bytes.
fn status(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The processor, its cores and instructions, in a line.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find(|l| l.starts_with(key));
        line.and_then(|l| l.split_once(':'))
            .map_or("", |(_, value)| value.trim())
    };
    let name = match value("model name") {
        "" => std::env::consts::ARCH,
        name => name,
    };
    let flags: Vec<&str> = value("flags").split_whitespace().collect();
    let shown = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"];
    let shown: Vec<&str> = shown.into_iter().filter(|f| flags.contains(f)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {cores} cores, {}", shown.join(" "))
}

/// The day, as the system has it.
pub fn date() -> String {
    let out = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    out.map_or_else(
        |_| "unknown".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}

/// The middle one of some numbers, the lower of two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}
