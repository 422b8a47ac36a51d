//! The joint objective: its terms, their weights, and gradients against closed forms.

#[path = "common/passes.rs"]
#[allow(dead_code)]
mod passes;

use std::path::Path;

use ebm::config::yaml;
use ebm::objective::{Inputs, ObjectiveConfig, Terms, cross_entropy, name};
use passes::Table;
use tch::{Device, Kind, Tensor};

fn double(t: &Tensor) -> f64 {
    t.double_value(&[])
}

fn logits() -> Tensor {
    Tensor::from_slice(&[1.0f64, -0.5, 0.25, 2.0, 0.0, -1.0]).view([2, 3])
}

fn classes() -> Tensor {
    Tensor::from_slice(&[2i64, 0])
}

/// -sum_k q_k log p_k by hand, q = (1 - s) onehot + s / K.
fn by_hand(smoothing: f64) -> f64 {
    let rows: Vec<Vec<f64>> = Vec::try_from(&logits()).unwrap();
    let labels = [2, 0];
    let of_row = |(row, label): (&Vec<f64>, usize)| {
        let total = row.iter().map(|l| l.exp()).sum::<f64>().ln();
        row.iter()
            .enumerate()
            .map(|(k, l)| {
                let q = smoothing / 3.0 + if k == label { 1.0 - smoothing } else { 0.0 };
                -q * (l - total)
            })
            .sum::<f64>()
    };
    rows.iter().zip(labels).map(of_row).sum::<f64>() / 2.0
}

#[test]
fn cross_entropy_is_that_of_smoothed_labels() {
    for smoothing in [0.0, 0.1, 0.5] {
        let found = double(&cross_entropy(&logits(), &classes(), smoothing));
        assert!(
            (found - by_hand(smoothing)).abs() < 1e-12,
            "{found}, expected {}",
            by_hand(smoothing)
        );
    }
}

/// A term's section.
fn objective(text: &str) -> Terms {
    let place = Path::new("objective.yaml");
    let config: ObjectiveConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    config.build(Device::Cpu)
}

#[test]
fn the_loss_is_the_weighted_sum_of_its_terms() {
    let objective = objective(
        "{contrastive: {weight: 0.3, energy_reg: 0.1}, cross-entropy: {weight: 2, label_smoothing: 0.1}, \
         conditional: {weight: 0.7, energy_reg: 0.1}, chain-kl: {weight: 0.4}, chain-entropy: {weight: 0.2}}",
    );
    let energies = |values: &[f64]| Tensor::from_slice(values);
    let table = Table {
        energies: vec![
            (name::DATA, energies(&[1.0, 3.0])),
            (name::NEGATIVES, energies(&[-1.0, 0.0, 4.0])),
        ],
        joint: vec![
            (name::LABELLED, energies(&[5.0, 1.0])),
            (name::NEGATIVES, energies(&[2.0])),
        ],
        logits: vec![(name::LABELLED, logits())],
        // The energy is the sum over a state: 1.5 in the mean.
        chain_end: Some(energies(&[1.0, 1.0, 0.5, 0.5]).view([2, 1, 1, 2])),
    };
    let mut inputs = Inputs::default();
    inputs.put(name::LABELS, classes());
    inputs.put(name::KEPT_CLASSES, Tensor::from_slice(&[1i64]));
    // From the first end 3 and 4 away, hence 5; the second is nearer to the other neighbour, 1 away.
    inputs.put(name::NEIGHBOURS, energies(&[4.0, 5.0, 0.5, -0.5]).view([2, 1, 1, 2]));
    let out = objective.loss(0, &table, &inputs);
    // mean E+ = 2, mean E- = 1; mean squares 5 and 17/3.
    let marginal = 2.0 - 1.0 + 0.1 * (5.0 + 17.0 / 3.0);
    let pairs = 3.0 - 2.0 + 0.1 * (13.0 + 4.0);
    // The first end is sqrt(0.25 + 2.25) from the second neighbour.
    let entropy = -(2.5f64.sqrt().ln() + 1f64.ln()) / 2.0;
    let expected = 0.3 * marginal + 2.0 * by_hand(0.1) + 0.7 * pairs + 0.4 * 1.5 + 0.2 * entropy;
    assert!(
        (double(&out.value) - expected).abs() < 1e-6,
        "{} and {expected}",
        double(&out.value)
    );
    let part = |name: &str| double(&out.parts.iter().find(|p| p.0 == name).unwrap().1);
    // Row 0 is classified as 0, its class is 2; row 1 rightly as 0.
    let expected = [
        ("energy_pos", 2.0),
        ("energy_neg", 1.0),
        ("joint_energy_pos", 3.0),
        ("accuracy", 0.5),
        ("kl", 1.5),
        ("entropy", entropy),
    ];
    for (name, value) in expected {
        assert!((part(name) - value).abs() < 1e-6, "{name}");
    }
}

#[test]
fn terms_count_from_their_step_on() {
    let objective = objective("{contrastive: {from: 5}, cross-entropy: {}}");
    assert!(!objective.asks(4).chains && objective.asks(4).labels);
    assert!(objective.asks(5).chains && objective.asks(5).data);
    let table = Table {
        logits: vec![(name::LABELLED, logits())],
        ..Table::default()
    };
    let mut inputs = Inputs::default();
    inputs.put(name::LABELS, classes());
    let out = objective.loss(4, &table, &inputs);
    assert!((double(&out.value) - by_hand(0.0)).abs() < 1e-12);
}

/// d(-log p(x) - log p(y|x)) / d f is known: p(.|x+) enters twice with opposite signs, and cancels.
#[test]
fn at_equal_weights_the_gradient_is_that_of_the_joint_density() {
    let objective = objective("{contrastive: {}, cross-entropy: {}}");
    let f = logits().set_requires_grad(true);
    let negative = logits() * -1.0;
    let table = Table {
        energies: vec![
            (name::DATA, ebm::energy::marginal(&f)),
            (name::NEGATIVES, ebm::energy::marginal(&negative)),
        ],
        logits: vec![(name::LABELLED, f.shallow_clone())],
        ..Table::default()
    };
    let mut inputs = Inputs::default();
    inputs.put(name::LABELS, classes());
    objective.loss(0, &table, &inputs).value.backward();
    // -log p(x+, y) = -f[y] + log Z, so the gradient at the data's logits is minus the one-hot label over the batch.
    let expected = -classes().one_hot(3).to_kind(Kind::Double) / 2.0;
    let off = (f.grad() - expected).abs().max().double_value(&[]);
    assert!(off < 1e-12, "off by {off:e}");
}

#[test]
fn marginal_and_joint_energies_are_those_of_the_logits() {
    let f = logits();
    let rows: Vec<Vec<f64>> = Vec::try_from(&f).unwrap();
    for (i, row) in rows.iter().enumerate() {
        let expected = -row.iter().map(|l| l.exp()).sum::<f64>().ln();
        assert!((ebm::energy::marginal(&f).double_value(&[i as i64]) - expected).abs() < 1e-12);
    }
    let joint = ebm::energy::joint(&f, &classes());
    assert_eq!((joint.double_value(&[0]), joint.double_value(&[1])), (-0.25, -2.0));
    assert_eq!(joint.device(), Device::Cpu);
}
