//! The joint objective: its terms, their weights, and gradients against closed forms.

use ebm::objective::ObjectiveConfig;
use ebm::objective::{JointObjective, Terms, cross_entropy};
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

#[test]
fn the_loss_is_the_weighted_sum_of_its_terms() {
    let objective = JointObjective::new(&ObjectiveConfig {
        p_x_weight: 0.3,
        p_y_given_x_weight: 2.0,
        p_x_y_weight: 0.7,
        energy_reg: 0.1,
        label_smoothing: 0.1,
        kl_weight: 0.4,
        entropy_weight: 0.2,
        ..ObjectiveConfig::default()
    });
    let energies = |values: &[f64]| Tensor::from_slice(values);
    let terms = Terms {
        marginal: Some([energies(&[1.0, 3.0]), energies(&[-1.0, 0.0, 4.0])]),
        pairs: Some([energies(&[5.0, 1.0]), energies(&[2.0])]),
        labelled: Some([logits(), classes()]),
        kl: Some(Tensor::from(1.5)),
        entropy: Some(Tensor::from(-2.5)),
    };
    let out = objective.loss(&terms);
    // mean E+ = 2, mean E- = 1; mean squares 5 and 17/3.
    let marginal = 2.0 - 1.0 + 0.1 * (5.0 + 17.0 / 3.0);
    let pairs = 3.0 - 2.0 + 0.1 * (13.0 + 4.0);
    let expected = 0.3 * marginal + 2.0 * by_hand(0.1) + 0.7 * pairs + 0.4 * 1.5 - 0.2 * 2.5;
    assert!(
        (double(&out.loss) - expected).abs() < 1e-6,
        "{} and {expected}",
        double(&out.loss)
    );
    let part = |name: &str| double(&out.parts.iter().find(|p| p.0 == name).unwrap().1);
    // Row 0 is classified as 0, its class is 2; row 1 rightly as 0.
    let expected = [
        ("energy_pos", 2.0),
        ("energy_neg", 1.0),
        ("joint_energy_pos", 3.0),
        ("accuracy", 0.5),
        ("entropy", -2.5),
    ];
    for (name, value) in expected {
        assert!((part(name) - value).abs() < 1e-6, "{name}");
    }
}

/// d(-log p(x) - log p(y|x)) / d f is known: p(.|x+) enters twice with opposite signs, and cancels.
#[test]
fn at_equal_weights_the_gradient_is_that_of_the_joint_density() {
    let objective = JointObjective::new(&ObjectiveConfig {
        p_y_given_x_weight: 1.0,
        ..ObjectiveConfig::default()
    });
    let f = logits().set_requires_grad(true);
    let negative = logits() * -1.0;
    let terms = Terms {
        marginal: Some([ebm::energy::marginal(&f), ebm::energy::marginal(&negative)]),
        labelled: Some([f.shallow_clone(), classes()]),
        ..Terms::default()
    };
    objective.loss(&terms).loss.backward();
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
