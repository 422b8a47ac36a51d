//! What bf16 in the network costs a chain: the variance it samples, against the exact one of the discretised chain.

#[path = "common/rounded.rs"]
mod rounded;

use ebm::energy::energy_and_grad;
use ebm::rng::Stream;
use ebm::sampling::StepPart::{Gradient, Noise};
use rounded::{RoundedGaussian, WEIGHT};
use tch::{Device, Kind};

const ORDERS: [[ebm::sampling::StepPart; 2]; 2] = [[Gradient, Noise], [Noise, Gradient]];
const F32: RoundedGaussian = RoundedGaussian { kind: Kind::Float };
const BF16: RoundedGaussian = RoundedGaussian { kind: Kind::BFloat16 };

/// h = 0.1, and a million values: a standard error of 0.14 %.
const H: f64 = 0.1;
const LOOKS: usize = 4;

/// Standard errors that are allowed; chance takes more once in sixteen thousand.
const SIGMAS: f64 = 4.0;

/// What the bounds are derived from: gradients are off, and by no more than their roundings allow.
#[test]
fn gradients_in_bf16_are_off_by_no_more_than_their_roundings() {
    let x = Stream::new(0, "x").normal(&[64, 1, 8, 8], Device::Cpu);
    let exact = &x * WEIGHT;
    let off = |energy: &RoundedGaussian| {
        let error = (energy_and_grad(energy, &x).grad - &exact) / &exact;
        error.abs().max().double_value(&[])
    };
    let [single, half] = [off(&F32), off(&BF16)];
    assert!(single <= F32.rounding(), "f32: {single}");
    assert!(half > 0.5 * 2f64.powi(-8), "bf16 rounds: {half}");
    assert!(half <= BF16.rounding(), "bf16: {half}");
}

#[test]
fn f32_samples_the_exact_variance() {
    for order in ORDERS {
        let [ratio, error] = F32.measure(H, order, LOOKS);
        println!("{order:?}: {ratio:.5} of the exact variance, standard error {error:.5}");
        assert!((ratio - 1.0).abs() <= SIGMAS * error, "{order:?}: {ratio}");
    }
}

#[test]
fn bf16_samples_the_variance_that_its_roundings_allow() {
    for order in ORDERS {
        let [ratio, error] = BF16.measure(H, order, LOOKS);
        let [low, high] = BF16.bounds(H, order);
        println!(
            "{order:?}: {ratio:.5} of the exact variance, standard error {error:.5}, allowed {low:.5} to {high:.5}"
        );
        assert!(low < 1.0 && high > 1.0);
        assert!(
            ratio >= low - SIGMAS * error && ratio <= high + SIGMAS * error,
            "{order:?}: {ratio}"
        );
    }
}
