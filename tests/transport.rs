//! The kernel that carries noise to data: its descent, its ramp of noise, and where it ends.

mod common;

use common::targets::*;
use ebm::energy::Flat;
use ebm::rng::Stream;
use ebm::sampling::run_chain;
use tch::{Device, Kind, Tensor};

/// On a quadratic energy of curvatures k each step multiplies by 1 - step_size k.
#[test]
fn steps_before_the_noise_are_those_of_descent() {
    tch::set_num_threads(1);
    let scales = [0.5, 2.0];
    // Noise begins with the step at time 0.5.
    let config = kernel("{transport: {step_size: 0.02, until: 0.49, heat: 0.3}}");
    let still = kernel("{transport: {step_size: 0.02, until: 0.49, heat: 0}}");
    let start = Stream::new(1, "x").normal(&[20, 2], Device::Cpu);
    let run = |config: &ebm::sampling::KernelConfig, n: usize| {
        let built = config.build(n);
        let x = run_chain(&*built, &Unequal(scales), start.copy(), n, &mut Stream::new(2, "z")).x;
        (x, built.facts().random)
    };
    for n in [1, 7, 25] {
        let factor = scales.map(|sd| (1.0 - 0.02 / (sd * sd)).powi(n as i32));
        let due = &start * tensor(factor);
        for config in [&config, &still] {
            let (found, random) = run(config, n);
            let off = (found - &due).abs().max().double_value(&[]);
            assert!(off < 1e-5 && !random, "{off} off after {n} steps");
        }
    }
    let [(moved, random), (fallen, never)] = [&config, &still].map(|config| run(config, 27));
    assert!(random && !never);
    assert!((moved - fallen).abs().min().double_value(&[]) > 0.0);
}

/// Without a gradient a chain adds up the noise of its steps.
#[test]
fn noise_rises_from_its_beginning_to_time_one_and_stays() {
    tch::set_num_threads(1);
    let n = 20_000;
    let (step, heat) = (0.05, 0.7);
    for until in [0.32, 1.0] {
        let config = kernel(&format!(
            "{{transport: {{step_size: {step}, until: {until}, heat: {heat}}}}}"
        ));
        for steps in [8, 14, 20, 21, 40] {
            let ramp = |k: usize| {
                let t = k as f64 * step;
                if t > 0.999 {
                    1.0
                } else {
                    ((t - until) / (1.0 - until)).clamp(0.0, 1.0)
                }
            };
            let due: f64 = (0..steps).map(|k| 2.0 * step * heat * ramp(k)).sum();
            let start = Tensor::zeros([n, 1], (Kind::Float, Device::Cpu));
            let rng = &mut Stream::new(3, "ramp");
            let end = run_chain(&*config.build(steps), &Flat, start, steps, rng).x;
            let variance = end.square().mean(Kind::Double).double_value(&[]);
            let error = due * (2.0 / n as f64).sqrt();
            assert!(
                (variance - due).abs() <= SIGMAS * error,
                "{until}, {steps} steps: {variance} for {due}"
            );
        }
    }
}

/// The last part is Langevin dynamics, whose step makes the variance of a Gaussian 2 T / (k (2 - step k)).
#[test]
fn long_chains_have_the_variance_of_langevin_steps() {
    tch::set_num_threads(1);
    let (step, heat, scales) = (0.1, 0.4, [0.5f64, 1.2]);
    let due = scales.map(|sd| {
        let k = 1.0 / (sd * sd);
        2.0 * heat / (k * (2.0 - step * k))
    });
    let target = Target {
        name: "unequal",
        energy: Box::new(Unequal(scales)),
        temperature: heat,
        draw: |_, _, _| unreachable!(),
        means: vec![
            (first, 0.0),
            (|x| first(x).square(), due[0]),
            (|x| second(x).square(), due[1]),
        ],
    };
    let config = kernel(&format!(
        "{{transport: {{step_size: {step}, until: 0.5, heat: {heat}}}}}"
    ));
    let start = Stream::new(4, "start").normal(&[400, 2], Device::Cpu);
    keeps(&*config.build(600), "transport", &target, start, (600, 150));
}

#[test]
fn facts_are_those_of_its_last_part() {
    let built = kernel("{transport: {heat: 0.2}}").build(150);
    let facts = built.facts();
    assert_eq!((facts.temperature, facts.exact, facts.random), (0.2, false, true));
    assert_eq!(built.identity(), None);
    let still = built.without_noise().unwrap();
    assert!(!still.facts().random);
    assert_eq!(still.facts().temperature, 0.0);
}
