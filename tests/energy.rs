//! Energies, their gradients with respect to images, and the frozen copy of a network.

use std::path::{Path, PathBuf};

use ebm::config::yaml;
use ebm::energy::{Energy, FrozenEnergy, GaussianReference, LiveEnergy, Sum, Tempered, energy_and_grad};
use ebm::models::ModelConfig;
use ebm::nn::NetworkConfig;
use ebm::nn::{Mode, Network};
use ebm::rng::Stream;
use ebm::space::{each, norms, sum_each};
use tch::{Device, Kind, Tensor};

/// sum over pixels of a x^4 / 4 + sin(x): smooth, with a gradient that can be written down.
struct Quartic;

impl Energy for Quartic {
    fn energy(&self, x: &Tensor) -> Tensor {
        let terms = x.pow_tensor_scalar(4) / 4.0 + x.sin();
        terms.sum_dim_intlist([1, 2, 3].as_slice(), false, x.kind())
    }
}

/// The shipped networks; models of other kinds have tests of their own.
fn models() -> Vec<PathBuf> {
    let is_network = |f: &PathBuf| yaml::load::<ModelConfig>(f).unwrap().as_network().is_some();
    let mut files: Vec<_> = std::fs::read_dir("models")
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|f| f.is_file())
        .filter(is_network)
        .collect();
    files.sort();
    assert!(files.len() > 10);
    files
}

fn network(file: &Path, rng: &mut Stream) -> (NetworkConfig, Network) {
    let model: NetworkConfig = yaml::load(file).unwrap();
    let network = Network::new(&model, Device::Cpu, rng).unwrap();
    (model, network)
}

fn images(model: &NetworkConfig, n: i64, rng: &mut Stream) -> Tensor {
    rng.uniform(&model.space().batch(n), -1.0, 1.0, Device::Cpu)
}

fn max_abs(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn gradient_of_a_closed_form_is_exact() {
    let mut rng = Stream::new(1, "x");
    let x = rng.normal(&[5, 2, 3, 4], Device::Cpu);
    let out = energy_and_grad(&Quartic, &x);
    let exact = x.pow_tensor_scalar(3) + x.cos();
    // A handful of roundings of numbers below 64.
    assert!(max_abs(&(&out.grad - exact)) < 64.0 * 8.0 * f64::from(f32::EPSILON));
    assert_eq!(out.energy.size(), [5]);
    assert!(!out.grad.requires_grad() && !out.energy.requires_grad() && !x.requires_grad());
}

#[test]
fn gradient_is_there_even_where_gradients_are_off() {
    let x = Tensor::ones([1, 1, 1, 1], (Kind::Float, Device::Cpu));
    let _guard = tch::no_grad_guard();
    let grad = energy_and_grad(&Quartic, &x).grad.double_value(&[0, 0, 0, 0]);
    assert!((grad - (1.0 + 1f64.cos())).abs() < 1e-6);
    assert!(!(&x * 2.0).requires_grad());
}

/// Along u = grad / |grad|, where it is largest against rounding, (E(x + eps u) - E(x - eps u)) / (2 eps) = |grad| up to
/// two errors. Rounding: energies of these fresh networks are near 0.1 and right to about 1e-8, their differences at
/// this eps (0.001 a pixel) above 1e-5, hence 0.1 %. Curvature: of second order in eps where the energy is smooth;
/// leaky ReLUs that change sides on the way add up to 1 % (it halves with eps). So 2 % are allowed; a wrong sign, the
/// gradient of another image or a lost layer is off by far more.
#[test]
fn gradient_of_every_shipped_model_by_finite_differences() {
    for file in models() {
        let mut rng = Stream::new(2, "finite differences");
        let (model, network) = network(&file, &mut rng);
        let energy = FrozenEnergy::new(&network, Kind::Float, 1.0);
        let x = images(&model, 3, &mut rng);
        let grad = energy_and_grad(&energy, &x).grad;
        let norm = each(&norms(&grad), &grad);
        let unit = |d: Tensor| &d / each(&norms(&d), &d);
        let along = &grad / &norm;
        // Half of the second direction is random: an error at right angles to the gradient shows there.
        let aslant = unit(&along + unit(rng.normal(&x.size(), x.device())));
        let eps = 0.001 * (x.numel() as f64 / 3.0).sqrt();
        assert!(norm.min().double_value(&[]) > 0.0);
        for direction in [along, aslant] {
            let quotient = (energy.energy(&(&x + &direction * eps)).to_kind(Kind::Double)
                - energy.energy(&(&x - &direction * eps)).to_kind(Kind::Double))
                / (2.0 * eps);
            let expected = sum_each(&(&grad * &direction).to_kind(Kind::Double));
            println!("{}: expected {expected}, quotient {quotient}", file.display());
            let error = (quotient - expected) / norm.view([-1]).to_kind(Kind::Double);
            assert!(max_abs(&error) < 0.02, "{}", file.display());
        }
    }
}

#[test]
fn a_backward_pass_for_the_batch_equals_one_for_each_image() {
    for file in models() {
        let mut rng = Stream::new(3, "batch");
        let (model, network) = network(&file, &mut rng);
        let energy = FrozenEnergy::new(&network, Kind::Float, 1.0);
        let x = images(&model, 2, &mut rng);
        let together = energy_and_grad(&energy, &x);
        for i in 0..2 {
            let alone = energy_and_grad(&energy, &x.narrow(0, i, 1));
            let difference = max_abs(&(together.grad.get(i) - alone.grad.get(0)));
            // Sums of up to 10^4 products in another order: rounding grows as its square root.
            let tolerance = 100.0 * f64::from(f32::EPSILON) * max_abs(&alone.grad);
            assert!(
                difference <= tolerance,
                "{}: {difference} > {tolerance}",
                file.display()
            );
        }
    }
}

#[test]
fn no_parameter_gets_a_gradient() {
    for file in models() {
        let mut rng = Stream::new(4, "parameters");
        let (model, network) = network(&file, &mut rng);
        let x = images(&model, 2, &mut rng);
        let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
        // Nothing to differentiate but the image: without it there is no graph at all.
        assert!(!frozen.energy(&x).requires_grad(), "{}", file.display());
        let live = LiveEnergy::new(&network, Mode::Eval, 1.0);
        assert!(live.energy(&x).requires_grad());
        energy_and_grad(&frozen, &x);
        energy_and_grad(&live, &x);
        for (name, parameter) in network.parameters() {
            assert!(!parameter.grad().defined(), "{}: {name}", file.display());
        }
    }
}

#[test]
fn frozen_energy_follows_the_weights_and_equals_the_live_one() {
    for file in models() {
        let mut rng = Stream::new(5, "follow");
        let (model, network) = network(&file, &mut rng);
        let x = images(&model, 4, &mut rng);
        let mut frozen = FrozenEnergy::new(&network, Kind::Float, 0.5);
        let before = frozen.energy(&x);
        {
            let _guard = tch::no_grad_guard();
            for (_, parameter) in network.parameters() {
                let shift = rng.normal(&parameter.size(), Device::Cpu) * 0.1;
                let _ = parameter.shallow_clone().g_add_(&shift);
            }
        }
        let name = file.display();
        assert_eq!(frozen.energy(&x), before, "{name}: moved by itself");
        let live = LiveEnergy::new(&network, Mode::Eval, 0.5).energy(&x).detach();
        frozen.refresh(&network);
        let after = frozen.energy(&x);
        assert!(max_abs(&(&after - &before)) > 0.0, "{name}: did not follow");
        // The same arithmetic, apart from a folded spectral norm: a rounding per weight.
        let tolerance = 1e-4 * max_abs(&live);
        assert!(max_abs(&(&after - &live)) <= tolerance, "{name}: {after} and {live}");
    }
}

#[test]
fn bf16_weights_still_give_f32_energies_and_gradients() {
    let mut rng = Stream::new(6, "bf16");
    let (model, network) = network(Path::new("models/mnist.yaml"), &mut rng);
    let x = images(&model, 8, &mut rng);
    let [half, full] = [Kind::BFloat16, Kind::Float].map(|k| energy_and_grad(&FrozenEnergy::new(&network, k, 1.0), &x));
    assert_eq!((half.energy.kind(), half.grad.kind()), (Kind::Float, Kind::Float));
    // Eight bits of mantissa: 2^-8 a layer and direction, about 12 of them, at worst all one way.
    let error = (&half.grad - &full.grad).norm().double_value(&[]) / full.grad.norm().double_value(&[]);
    assert!(error > 0.0 && error < 12.0 / 256.0, "{error}");
}

#[test]
fn sign_and_reference_of_a_model_file() {
    let text = "name: t\ninput: [1, 2, 2]\noutput: energy\nlayers: [flatten, {linear: {out: 1}}]\n";
    let path = Path::new("t.yaml");
    let plain: NetworkConfig = yaml::typed(yaml::parse(text, path).unwrap(), path).unwrap();
    let mut negative = plain.clone();
    negative.output = ebm::nn::Output::NegativeEnergy;
    negative.reference_std = Some(0.5);
    let x = Stream::new(7, "x").normal(&[3, 1, 2, 2], Device::Cpu);
    let [a, b] = [&plain, &negative].map(|m| Network::new(m, Device::Cpu, &mut Stream::new(8, "init")).unwrap());
    let raw = a.forward(&x, Mode::Eval).detach();
    // p(x) ~ exp(-E/T) N(x; 0, std^2 I): the reference weighs T |x|^2 / (2 std^2) in E.
    let reference = x.square().sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float) * (0.1 / (2.0 * 0.25));
    let near = |got: Tensor, want: Tensor| assert!(max_abs(&(got - want)) < 1e-5);
    near(FrozenEnergy::new(&a, Kind::Float, 0.1).energy(&x), raw.shallow_clone());
    near(FrozenEnergy::new(&b, Kind::Float, 0.1).energy(&x), &reference - &raw);
    near(
        LiveEnergy::new(&b, Mode::Eval, 0.1).energy(&x).detach(),
        &reference - &raw,
    );
}

#[test]
fn terms_add_up_at_a_temperature() {
    let x = Stream::new(9, "x").normal(&[4, 1, 2, 3], Device::Cpu);
    let sum = Sum(vec![
        Box::new(Tempered {
            energy: Quartic,
            temperature: 0.25,
        }),
        Box::new(GaussianReference { std: 2.0 }),
    ]);
    let exact = Quartic.energy(&x) * 4.0 + x.square().sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Float) / 8.0;
    let error = max_abs(&(sum.energy(&x) - &exact));
    assert!(error < 8.0 * f64::from(f32::EPSILON) * max_abs(&exact), "{error}");
    let grad = energy_and_grad(&sum, &x).grad;
    let exact = (x.pow_tensor_scalar(3) + x.cos()) * 4.0 + &x / 4.0;
    assert!(max_abs(&(grad - &exact)) < 32.0 * f64::from(f32::EPSILON) * max_abs(&exact));
}
