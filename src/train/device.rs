//! From the word of a device, as a person writes it, to a device that is there.

use tch::{Cuda, Device};

use crate::error::{Error, Result};

/// `auto`, `cpu`, `cuda` or `cuda:N` as a device of this machine.
///
/// # Errors
/// When CUDA is asked for and absent, or there are fewer devices.
pub fn parse(text: &str) -> Result<Device> {
    let place = format!("device {text}");
    let index = match text {
        "auto" => return Ok(Device::cuda_if_available()),
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        other => other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| Error::input(&place, "no such device", "give auto, cpu, cuda or cuda:N"))?,
    };
    if !Cuda::is_available() {
        return Err(Error::input(
            place,
            "CUDA was asked for, but this LibTorch and machine offer none",
            "use --device cpu, or install the CUDA flavour (./download_libtorch.sh cuda) on a machine with an NVIDIA driver",
        ));
    }
    let count = Cuda::device_count() as usize;
    if index >= count {
        return Err(Error::input(
            place,
            format!("this machine has {count} CUDA devices, counted from 0"),
            "give a smaller number",
        ));
    }
    Ok(Device::Cuda(index))
}

/// A device as it is written in a configuration.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n}"),
        _ => "cpu".into(),
    }
}
