//! How much memory is free, and the refusal of images that do not fit.

use std::fs;
use std::path::Path;

use tch::Device;

use crate::error::{Error, Result};

/// Refuses images at `place` that take more bytes than are free; a GPU refuses by itself.
pub(super) fn ensure(bytes: u128, device: Device, place: &Path) -> Result<()> {
    match free() {
        Some(free) if device == Device::Cpu && bytes > free.into() => Err(Error::file(
            place,
            format!(
                "the images take {} of memory, {} are free",
                mib(bytes),
                mib(free.into())
            ),
            "use fewer or smaller images, or a machine with more memory",
        )),
        _ => Ok(()),
    }
}

/// Bytes as whole MiB, rounded up.
pub(super) fn mib(bytes: u128) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Bytes that the machine, and the control group of the process, still give; `None` where the system does not say.
fn free() -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:");
    machine.into_iter().chain(left_to_group()).min()
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
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
