//! The refusal of images that free memory does not hold.

use std::path::Path;

use tch::Device;

use crate::error::{Error, Result};
use crate::memory::available;

/// Refuses images at `place` that take more bytes than are free; a GPU refuses by itself.
pub(super) fn ensure(bytes: u128, device: Device, place: &Path) -> Result<()> {
    let free = u128::from(available());
    if device != Device::Cpu || bytes <= free {
        return Ok(());
    }
    Err(Error::file(
        place,
        format!("the images take {} of memory, {} are free", mib(bytes), mib(free)),
        "use fewer or smaller images, or a machine with more memory",
    ))
}

/// Bytes as whole MiB, rounded up.
pub(super) fn mib(bytes: u128) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
