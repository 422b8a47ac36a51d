//! The switch for TF32 reaches LibTorch, with or without CUDA.

use tch::{Device, Kind, Tensor};

/// 1 + 2^-12 has a mantissa of 12 bits: TF32 rounds it to 1, single precision does not.
fn product(device: Device) -> f64 {
    let a = Tensor::full([256, 256], 1.0 + 2f64.powi(-12), (Kind::Float, device));
    let b = Tensor::eye(256, (Kind::Float, device));
    a.matmul(&b).double_value(&[3, 5])
}

#[test]
fn switched_on_it_is_on_and_off_again() {
    assert_eq!(ebm::ffi::tf32(), [false, true], "as LibTorch starts");
    let device = Device::cuda_if_available();
    for on in [true, false, true, false] {
        ebm::ffi::set_tf32(on);
        assert_eq!(ebm::ffi::tf32(), [on, on]);
        let exact = 1.0 + 2f64.powi(-12);
        assert_eq!(product(Device::Cpu), exact, "a CPU knows no TF32");
        // With it on, a card without TF32 is exact as well.
        assert!(on || product(device) == exact, "on {device:?}");
    }
}
