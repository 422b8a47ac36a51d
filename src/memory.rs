//! How much memory there is, and sums of what a run will need of it that cannot overflow.

use std::fs;
use std::path::Path;

/// Bytes that this process may still take: what is available, with swap, and at most what its
/// container allows.
///
/// Where the system does not tell, a bound that no machine reaches.
pub fn available() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| of_meminfo(&text));
    // "max", where a container has no bound, is no number.
    let bound = |file: &&str| -> Option<u64> { fs::read_to_string(file).ok()?.trim().parse().ok() };
    let bounds = CONTAINER.iter().filter_map(bound).chain(left_to_group());
    machine.into_iter().chain(bounds).min().unwrap_or(UNKNOWN)
}

/// What a control group (version 2) may still take; cached files give way.
fn left_to_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(own);
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let number = |text: String| text.trim().parse::<u64>().ok();
    let (most, taken) = (number(read("memory.max")?)?, number(read("memory.current")?)?);
    let stat = read("memory.stat")?;
    let cached = stat.lines().find_map(|line| line.strip_prefix("file "))?;
    Some(most.saturating_sub(taken.saturating_sub(cached.parse().ok()?)))
}

/// Where the bound of a container stands, by the two versions of control groups.
const CONTAINER: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// What is taken for the memory of a device that does not tell: 1 TiB.
pub const UNKNOWN: u64 = 1 << 40;

/// Memory and swap that are available, in bytes, from the text of `/proc/meminfo`.
fn of_meminfo(text: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let swap = kib("SwapFree").unwrap_or(0);
    kib("MemAvailable")?.checked_add(swap)?.checked_mul(1024)
}

/// The product of whole numbers; one beyond `u64` counts as the largest of them.
pub fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |all: u64, n| all.saturating_mul(*n))
}

/// Bytes for people: `3.7 GiB`.
pub fn words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes_with_swap() {
        let text = "MemTotal: 9 kB\nMemAvailable:    3 kB\nSwapFree:  2 kB\n";
        assert_eq!(of_meminfo(text), Some(5 * 1024));
        assert_eq!(of_meminfo("MemTotal: 9 kB\n"), None);
        assert_eq!(of_meminfo("MemAvailable: 18446744073709551615 kB\n"), None);
    }

    #[test]
    fn products_stop_at_the_largest_number() {
        assert_eq!(product(&[1 << 20, 1 << 20, 4]), 1 << 42);
        assert_eq!(product(&[u64::MAX, 2]), u64::MAX);
        assert_eq!(words(3 << 30), "3.0 GiB");
        assert_eq!(words(512), "0.5 KiB");
    }
}
