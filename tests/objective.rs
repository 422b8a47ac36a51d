//! The maximum-likelihood objective and its gradient in the parameters.

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::{Energy, LiveEnergy};
use ebm::nn::{Mode, Network};
use ebm::objective::{Loss, contrast};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

fn loss(energy_reg: f64, pos: &Tensor, neg: &Tensor) -> Loss {
    contrast([pos, neg], energy_reg, ["energy_pos", "energy_neg"])
}

fn part<'a>(loss: &'a Loss, name: &str) -> &'a Tensor {
    &loss.parts.iter().find(|p| p.0 == name).unwrap().1
}

#[test]
fn value_by_hand() {
    let (pos, neg) = (Tensor::from_slice(&[1f32, 3.0]), Tensor::from_slice(&[-1f32, 0.0, 4.0]));
    let out = loss(0.0, &pos, &neg);
    assert_eq!(part(&out, "energy_pos").double_value(&[]), 2.0);
    assert_eq!(part(&out, "energy_neg").double_value(&[]), 1.0);
    assert_eq!(out.value.double_value(&[]), 1.0);
    // Squares: mean of 1 and 9 is 5, of 1, 0 and 16 is 17/3.
    let regularised = loss(0.1, &pos, &neg).value.double_value(&[]);
    assert!(
        (regularised - (1.0 + 0.1 * (5.0 + 17.0 / 3.0))).abs() < 1e-6,
        "{regularised}"
    );
}

/// dL/dtheta = mean (1 + 2 a E+) dE+/dtheta - mean (1 - 2 a E-) dE-/dtheta, one image at a time on the right side.
#[test]
fn training_gradient_is_that_of_the_two_phases() {
    let mut rng = Stream::new(1, "init");
    let model = yaml::load(Path::new("models/uva_tutorial8.yaml")).unwrap();
    let network = Network::new(&model, Device::Cpu, &mut rng).unwrap();
    let parameters: Vec<&Tensor> = network.parameters().iter().map(|(_, p)| p).collect();
    let images = |rng: &mut Stream, n| rng.uniform(&[n, 1, 28, 28], -1.0, 1.0, Device::Cpu);
    let (pos, neg) = (images(&mut rng, 3), images(&mut rng, 5) * 0.3);
    let live = LiveEnergy::new(&network, Mode::Train, 1.0);
    let phase = |x: &Tensor, sign: f64, reg: f64| {
        let mut sums: Vec<Tensor> = parameters.iter().map(|p| p.zeros_like()).collect();
        let n = x.size()[0];
        for i in 0..n {
            let e = live.energy(&x.narrow(0, i, 1)).sum(Kind::Float);
            let weight = (sign + 2.0 * reg * e.double_value(&[])) / n as f64;
            let grads = Tensor::run_backward(&[e], &parameters, false, false);
            for (sum, g) in sums.iter_mut().zip(grads) {
                *sum += g * weight;
            }
        }
        sums
    };
    for reg in [0.0, 0.1, 2.0] {
        for p in &parameters {
            let mut p = p.shallow_clone();
            p.zero_grad();
        }
        loss(reg, &live.energy(&pos), &live.energy(&neg)).value.backward();
        for ((p, a), b) in parameters.iter().zip(phase(&pos, 1.0, reg)).zip(phase(&neg, -1.0, reg)) {
            let error = (p.grad() - (&a + &b)).abs().max().double_value(&[]);
            // Rounding of sums over images and positions, against the larger of the two phases.
            let scale = a.abs().max().double_value(&[]).max(b.abs().max().double_value(&[]));
            assert!(error <= 1e-5 * scale, "{error} against {scale}");
            assert!(p.grad().abs().max().double_value(&[]) > 0.01 * scale || scale < 1e-6 || reg == 0.0);
        }
    }
}

#[test]
fn reported_energies_are_cut_off() {
    let e = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let out = loss(0.1, &e, &e);
    let cut = |name: &str| !part(&out, name).requires_grad();
    assert!(out.value.requires_grad() && cut("energy_pos") && cut("energy_neg"));
    assert!(out.watched.iter().all(|w| !w.requires_grad()));
}
