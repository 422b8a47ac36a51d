//! The gradient that chains run on against autograd's, for every layer, mode, layout and precision.

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::{Condition, Energy, EnergyGrad, FrozenEnergy, energy_and_grad};
use ebm::nn::NetworkConfig;
use ebm::nn::{Layout, Mode, Network};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

/// Every layer there is, most of them twice: where what comes in may be overwritten and where it may not.
const EVERY_LAYER: &str = "
name: every_layer
input: [3, 12, 10]
output: logits
normalize: {mean: [0.5, 0.4, 0.6], std: [0.5, 0.4, 0.3]}
init: kaiming-normal
layers:
  - silu
  - conv: {out: 8, kernel: 3, padding: 1, spectral_norm: {}}
  - relu
  - relu
  - conv: {out: 8, kernel: 3, padding: 1, bias: false}
  - leaky_relu: {slope: 0.3}
  - leaky_relu: {slope: 0.1}
  - conv: {out: 8, kernel: 1}
  - leaky_relu: {slope: -0.4}
  - dropout: {p: 0.3}
  - residual:
      branch:
        - elu
        - conv: {out: 8, kernel: 3, padding: 1}
        - elu
        - dropout: {p: 0.2}
  - residual:
      branch:
        - softplus
        - batch_norm: {}
        - conv: {out: 12, kernel: 3, stride: 2, padding: 1}
      shortcut:
        - subsample: {out: 12, stride: 2}
  - softplus
  - upsample: {factor: 2}
  - square
  - sum_pool: {size: 2}
  - group_norm: {groups: 3}
  - silu
  - max_pool: {size: 2, stride: 1}
  - residual:
      branch:
        - conv: {out: 6, kernel: 1}
        - sum_pool: {size: 2, stride: 1}
      shortcut:
        - avg_pool: {size: 2, stride: 1}
        - leaky_relu: {slope: 0.2}
        - conv: {out: 6, kernel: 1}
  - residual:
      branch:
        - flatten
        - linear: {out: 72}
        - unflatten: {channels: 6, height: 4, width: 3}
        - silu
  - residual:
      join: product
      branch:
        - conv: {out: 6, kernel: 1}
        - relu
      shortcut:
        - silu
  - relu
  - TAIL
  - linear: {out: 9, spectral_norm: {}}
  - silu
  - linear: {out: 4}
";

/// The ways from an image to a row of numbers.
const TAILS: [&str; 3] = ["flatten", "global_avg_pool", "global_sum_pool"];

fn model(text: &str) -> NetworkConfig {
    let file = Path::new("test.yaml");
    yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap()
}

fn network(text: &str) -> Network {
    let network = Network::new(&model(text), Device::Cpu, &mut Stream::new(1, "init")).unwrap();
    // Running statistics that say something.
    let _guard = tch::no_grad_guard();
    let _ = network.forward(&images(&network, 6, 9), Mode::Train);
    network
}

fn images(network: &Network, n: i64, seed: u64) -> Tensor {
    let [c, h, w] = network.config().image().unwrap();
    Stream::new(seed, "images").uniform(&[n, c, h, w], -1.0, 1.0, Device::Cpu)
}

/// An energy without its own way to a gradient.
struct Plain<'a>(&'a dyn Energy);

impl Energy for Plain<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.energy(x)
    }
}

fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    ((found - expected).norm() / expected.norm()).double_value(&[])
}

/// What both ways find, each with the same draws of dropout.
fn both(energy: &dyn Energy, x: &Tensor) -> [EnergyGrad; 2] {
    assert!(energy.direct(x).is_some(), "there is a way of its own to be tested");
    let rng = Stream::new(3, "dropout");
    rng.clone().seed_next();
    let direct = energy_and_grad(energy, x);
    rng.clone().seed_next();
    [direct, energy_and_grad(&Plain(energy), x)]
}

const LAYOUTS: [Layout; 2] = [Layout::Contiguous, Layout::ChannelsLast];

/// Both ways run the same kernels on the same numbers, so they agree to the rounding of a few sums.
#[test]
fn equals_autograd_for_every_layer_mode_and_layout() {
    for tail in TAILS {
        let network = network(&EVERY_LAYER.replace("TAIL", tail));
        let x = images(&network, 5, 2);
        for mode in [Mode::Eval, Mode::TrainFrozenStats] {
            for layout in LAYOUTS {
                let energy = FrozenEnergy::new_in(&network, Kind::Float, layout, 1.0).in_mode(mode);
                let [direct, autograd] = both(&energy, &x);
                let errors = [
                    relative(&direct.energy, &autograd.energy),
                    relative(&direct.grad, &autograd.grad),
                ];
                assert!(
                    errors.iter().all(|e| *e < 1e-5),
                    "{tail}, {mode:?}, {layout:?}: {errors:?}"
                );
                assert_eq!((direct.grad.size(), direct.grad.kind()), (x.size(), Kind::Float));
                assert!(direct.grad.is_contiguous() && !direct.grad.requires_grad());
            }
        }
    }
}

#[test]
fn equals_autograd_for_sums_over_features_and_for_images_of_one_channel() {
    let text = "
name: grey
input: [1, 9, 7]
output: negative-energy
reference_std: 0.7
layers:
  - conv: {out: 4, kernel: 3}
  - silu
  - residual: {branch: [{conv: {out: 4, kernel: 3, padding: 1}}]}
  - sum_features
";
    let network = network(text);
    for layout in LAYOUTS {
        let energy = FrozenEnergy::new_in(&network, Kind::Float, layout, 0.3);
        let [direct, autograd] = both(&energy, &images(&network, 4, 5));
        assert!(relative(&direct.energy, &autograd.energy) < 1e-5);
        assert!(relative(&direct.grad, &autograd.grad) < 1e-5);
    }
}

/// Of one pixel, a sum over all pixels hands on the very gradient that came in, which the shortcut reads as well.
#[test]
fn equals_autograd_where_two_branches_sum_a_single_pixel() {
    let text = "
name: pixel
input: [3, 1, 1]
layers:
  - conv: {out: 6, kernel: 1}
  - residual: {branch: [silu, global_sum_pool], shortcut: [softplus, global_sum_pool]}
  - linear: {out: 1}
";
    let network = network(text);
    for layout in LAYOUTS {
        let energy = FrozenEnergy::new_in(&network, Kind::Float, layout, 1.0);
        let [direct, autograd] = both(&energy, &images(&network, 4, 5));
        assert!(relative(&direct.grad, &autograd.grad) < 1e-5, "{layout:?}");
    }
}

/// Images of few channels have a way of their own back through the first layer, whatever the window.
#[test]
fn equals_autograd_through_first_layers_of_every_window() {
    for channels in [1, 2, 3, 4, 5] {
        for window in [[1, 1, 0], [2, 2, 0], [3, 1, 1], [3, 2, 2], [5, 2, 4], [4, 3, 1]] {
            let [kernel, stride, padding] = window;
            let text = format!(
                "name: first\ninput: [{channels}, 9, 7]\nlayers: [{{conv: {{out: 6, kernel: {kernel}, stride: {stride}, \
                 padding: {padding}}}}}, silu, flatten, {{linear: {{out: 1}}}}]"
            );
            let network = network(&text);
            for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 1.0 / 256.0)] {
                let energy = FrozenEnergy::new_in(&network, kind, Layout::ChannelsLast, 1.0);
                let [direct, autograd] = both(&energy, &images(&network, 5, 5));
                let error = relative(&direct.grad, &autograd.grad);
                assert!(error < tolerance, "{channels} channels, {window:?}, {kind:?}: {error}");
            }
        }
    }
}

/// In bf16 both ways run the same kernels; where they sum two gradients in another order they differ by 2^-8 a sum, and
/// there are four.
#[test]
fn equals_autograd_in_bf16() {
    let network = network(&EVERY_LAYER.replace("TAIL", "flatten"));
    let x = images(&network, 5, 6);
    for layout in LAYOUTS {
        let [direct, autograd] = both(&FrozenEnergy::new_in(&network, Kind::BFloat16, layout, 1.0), &x);
        assert_eq!(direct.grad.kind(), Kind::Float);
        assert!(relative(&direct.grad, &autograd.grad) < 4.0 / 256.0, "{layout:?}");
    }
}

#[test]
fn energies_of_classes_and_of_ways_between_them() {
    let network = network(&EVERY_LAYER.replace("TAIL", "flatten"));
    let x = images(&network, 6, 7);
    let [from, to] = [[0i64, 1, 2, 3, 3, 1], [3, 2, 2, 0, 1, 1]].map(|c| Tensor::from_slice(&c));
    let frozen = FrozenEnergy::new_in(&network, Kind::Float, Layout::ChannelsLast, 1.0);
    let between = frozen.given(Condition::Between { from: &from, to: &to });
    between.set_weight(0.3);
    for energy in [&frozen.given(Condition::Class(&from)) as &dyn Energy, &between] {
        let [direct, autograd] = both(energy, &x);
        assert!(relative(&direct.energy, &autograd.energy) < 1e-5);
        assert!(relative(&direct.grad, &autograd.grad) < 1e-5);
    }
}

/// A part's images are computed by themselves: another batch size may choose another kernel, which sums in another
/// order.
#[test]
fn parts_of_a_batch_find_what_the_whole_finds() {
    let network = network(&EVERY_LAYER.replace("TAIL", "flatten"));
    let x = images(&network, 7, 8);
    let classes = Tensor::from_slice(&[0i64, 1, 2, 3, 0, 1, 2]);
    let whole = FrozenEnergy::new(&network, Kind::Float, 1.0);
    for part in [1, 3, 6, 7, 100] {
        let parts = FrozenEnergy::new(&network, Kind::Float, 1.0).in_parts(Some(part));
        let pairs = [
            [energy_and_grad(&whole, &x), energy_and_grad(&parts, &x)],
            [&whole, &parts].map(|e| energy_and_grad(&e.given(Condition::Class(&classes)), &x)),
        ];
        for [a, b] in pairs {
            assert!(relative(&b.energy, &a.energy) < 1e-5, "part {part}");
            assert!(relative(&b.grad, &a.grad) < 1e-5, "part {part}");
        }
    }
}

#[test]
fn the_image_is_left_as_it_is() {
    let network = network(
        &EVERY_LAYER
            .replace("TAIL", "flatten")
            .replace("normalize", "# normalize"),
    );
    let x = images(&network, 3, 4);
    let before = x.copy();
    for layout in LAYOUTS {
        let energy = FrozenEnergy::new_in(&network, Kind::Float, layout, 1.0);
        let first = energy_and_grad(&energy, &x);
        assert!(x.equal(&before));
        assert!(
            first.grad.equal(&energy_and_grad(&energy, &x).grad),
            "found twice alike"
        );
    }
}
