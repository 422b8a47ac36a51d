//! Levels of noise: what a level does to an energy, and what terms and kernels make of it.

use ebm::config::yaml;
use ebm::energy::{Energy, FrozenEnergy, LiveEnergy, energy_and_grad};
use ebm::nn::{Mode, Network, NetworkConfig};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn network(input: &str, form: &str, output: &str) -> Network {
    let (layers, last) = match input {
        "[3]" => ("linear: {out: 8}", "linear"),
        _ => ("conv: {out: 4, kernel: 3, padding: 1}", "conv"),
    };
    let flat = if last == "conv" { "flatten, " } else { "" };
    let out = if output == "logits" { 3 } else { 1 };
    let text = format!(
        "{{name: levels, input: {input}, output: {output}, levels: {{low: 0.1, high: 3, form: {form}}}, \
         layers: [{layers}, silu, {flat}linear: {{out: {out}}}]}}"
    );
    let place = std::path::Path::new("levels.yaml");
    let config: NetworkConfig = yaml::typed(yaml::parse(&text, place).unwrap(), place).unwrap();
    Network::new(&config, Device::Cpu, &mut Stream::new(1, "weights")).unwrap()
}

/// Every form, shape and output.
fn all() -> Vec<Network> {
    let mut all = Vec::new();
    for form in ["divided", "{input: {data_std: 0.7}}"] {
        for input in ["[3]", "[2, 5, 4]"] {
            all.extend(["energy", "negative-energy", "logits"].map(|output| network(input, form, output)));
        }
    }
    all
}

fn states(network: &Network, n: i64) -> Tensor {
    let mut size = network.config().input.clone();
    size.insert(0, n);
    Stream::new(2, "states").normal(&size, Device::Cpu)
}

/// The way without autograd, autograd on the frozen copy and on the live network, and parts of a batch find the
/// same, at a level for each state, at one for all, and at the lowest where none is given.
#[test]
fn all_ways_find_the_same_energy_and_gradient() {
    for network in all() {
        let (x, words) = (states(&network, 5), format!("{:?}", network.config()));
        let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
        let parts = FrozenEnergy::new(&network, Kind::Float, 1.0).in_parts(Some(2));
        let live = LiveEnergy::new(&network, Mode::Eval, 1.0);
        for sigma in [Tensor::from_slice(&[0.1f32, 0.4, 1.0, 2.0, 3.0]), Tensor::full([0i64; 0], 0.6, CPU)] {
            let energies: [&dyn Energy; 3] = [&frozen, &parts, &live];
            let found = energies.map(|energy| energy_and_grad(&*energy.at_level(&sigma).unwrap(), &x));
            let slow = by_autograd(&*frozen.at_level(&sigma).unwrap(), &x);
            for other in &found {
                assert!(other.energy.allclose(&slow[0], 1e-5, 1e-5, false), "{words}");
                assert!(other.grad.allclose(&slow[1], 1e-4, 1e-5, false), "{words}");
            }
        }
        let lowest = frozen.at_level(&Tensor::from_slice(&[0.1f32])).unwrap().energy(&x);
        assert!(frozen.energy(&x).allclose(&lowest, 1e-6, 1e-6, false), "{words}");
        assert!(live.energy(&x).allclose(&lowest, 1e-5, 1e-5, false), "{words}");
    }
}

fn by_autograd(energy: &dyn Energy, x: &Tensor) -> [Tensor; 2] {
    let x = x.copy().set_requires_grad(true);
    let energies = energy.energy(&x);
    let grad = Tensor::run_backward(&[energies.sum(Kind::Float)], &[&x], false, false).remove(0);
    [energies.detach(), grad]
}
