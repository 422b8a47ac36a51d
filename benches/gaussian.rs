//! The bias of the variance that Langevin chains sample from a Gaussian, with gradients in f32 and in bf16.
//!
//! `make bench`, or `cargo bench --bench gaussian`.

#[path = "../tests/common/rounded.rs"]
mod rounded;

use ebm::sampling::StepPart::{Gradient, Noise};
use rounded::RoundedGaussian;
use tch::Kind;

/// Times that 262,144 pixels are looked at.
const LOOKS: usize = 16;

fn main() {
    println!(
        "| order | h | gradients in | bias of the variance | standard error | beyond f32, same noise | allowed by rounding |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|");
    for (name, order) in [
        ("gradient, noise", [Gradient, Noise]),
        ("noise, gradient", [Noise, Gradient]),
    ] {
        for h in [0.02, 0.1, 0.5] {
            let mut in_f32 = f64::NAN;
            for (kind, word) in [(Kind::Float, "f32"), (Kind::BFloat16, "bf16")] {
                let energy = RoundedGaussian { kind };
                let [ratio, error] = energy.measure(h, order, LOOKS);
                let [low, high] = energy.bounds(h, order).map(|b| 100.0 * (b - 1.0));
                let bias = 100.0 * (ratio - 1.0);
                let error = 100.0 * error;
                if kind == Kind::Float {
                    in_f32 = bias;
                }
                let beyond = bias - in_f32;
                println!(
                    "| {name} | {h} | {word} | {bias:+.3} % | {error:.3} % | {beyond:+.4} % | {low:+.2} to {high:+.2} % |"
                );
            }
        }
    }
    println!(
        "\nAgainst the exact variance of the discretised chain with h = step_size / variance; state and noise are f32."
    );
}
