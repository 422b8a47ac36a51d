//! The deterministic mode reaches LibTorch.

use tch::{Kind, Tensor};

#[test]
fn switched_on_it_refuses_what_has_no_repeatable_algorithm() {
    assert!(!ebm::ffi::is_deterministic());
    // This operation has none, on a CPU either: it fails exactly while the mode is on.
    let weights = || Tensor::from_slice(&[0.5f32, 0.5]);
    let without =
        Tensor::from_slice(&[0i64, 1]).f_put_(&Tensor::from_slice(&[0i64]), &Tensor::from_slice(&[3i64]), false);
    assert!(without.is_ok());
    ebm::ffi::set_deterministic(true);
    assert!(ebm::ffi::is_deterministic());
    let refused = weights().f_put_(&Tensor::from_slice(&[0i64, 0]), &weights(), false);
    ebm::ffi::set_deterministic(false);
    assert!(
        refused.is_err(),
        "put_ without accumulation has no deterministic algorithm"
    );
    assert_eq!(weights().sum(Kind::Float).double_value(&[]), 1.0);
}
