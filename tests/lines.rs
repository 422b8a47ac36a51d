//! Terms of lines from noise to data, and the contrast beside them, number by number.

#[path = "common/passes.rs"]
#[allow(dead_code)]
mod passes;

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::Energy;
use ebm::objective::{Inputs, ObjectiveConfig, Passes, Terms, name};
use ebm::rng::Stream;
use ebm::space::sum_each;
use passes::Table;
use tch::{Device, Kind, Tensor};

fn terms(text: &str) -> Terms {
    let place = Path::new("objective");
    let config: ObjectiveConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    config.build(Device::Cpu)
}

fn gathered(text: &str, x: &Tensor) -> Inputs {
    let mut inputs = Inputs::default();
    inputs.put(name::DATA, x.shallow_clone());
    terms(text).gather(0, &mut inputs, &mut Stream::new(1, "lines"));
    inputs
}

fn numbers(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).contiguous().view(-1)).unwrap()
}

/// Where each number stands in order.
fn ranks(t: &Tensor) -> Tensor {
    t.view(-1).argsort(0, false).argsort(0, false)
}

/// Noise of the states of one number of a term whose target is noise - data.
fn noise(inputs: &Inputs, x: &Tensor) -> Tensor {
    x + inputs.of("minus the velocity of that way")
}

/// On a line the least sum of squares pairs what is of one rank.
#[test]
fn optimal_pairing_keeps_the_order_and_times_are_one_in_each_part() {
    tch::set_num_threads(1);
    let n = 200;
    let x = Stream::new(2, "x").normal(&[n, 1], Device::Cpu) * 3.0 + 1.0;
    let inputs = gathered("{flow-matching: {std: 2}}", &x);
    let z = noise(&inputs, &x);
    assert_eq!(ranks(&z), ranks(&x));
    // 5 standard errors of a standard deviation of 200 numbers.
    let std = z.std(true).double_value(&[]);
    assert!((std / 2.0 - 1.0).abs() < 5.0 / (2.0 * n as f64).sqrt(), "{std}");
    let free = gathered("{flow-matching: {std: 2, pairing: independent}}", &x);
    let own = noise(&free, &x);
    assert_ne!(ranks(&own), ranks(&x));
    // The same noise in another order.
    assert!(
        (own.view(-1).sort(0, false).0 - z.view(-1).sort(0, false).0)
            .abs()
            .max()
            .double_value(&[])
            < 1e-5
    );
    let t = (inputs.of("states on the way to data") - &z) / (&x - &z);
    for (i, t) in numbers(&t).into_iter().enumerate() {
        let part = t * n as f64 - i as f64;
        assert!((-0.02..1.02).contains(&part), "state {i} at {t}");
    }
}

/// sum of a_i x_i^2 / 2
struct Bowl(Tensor);

impl Energy for Bowl {
    fn energy(&self, x: &Tensor) -> Tensor {
        sum_each(&(x.square() * &self.0)) * 0.5
    }
}

/// A pass of it at temperature 2.5.
struct Pass<'a>(&'a Tensor);

impl Passes for Pass<'_> {
    fn energy(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn logits(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn joint(&self, _: &str, _: &Tensor) -> Tensor {
        unreachable!()
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(Bowl(self.0.shallow_clone()))
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        self.live()
    }

    fn chain_end(&self) -> Tensor {
        unreachable!()
    }

    fn temperature(&self) -> f64 {
        2.5
    }
}

/// The names of what a term gathers: where, target, weight.
const FLOW: [&str; 3] = [
    "states on the way to data",
    "minus the velocity of that way",
    "what that way weighs",
];
const REST: [&str; 3] = [
    "states between noise and data",
    "the slope that is due there",
    "what that slope weighs",
];

/// 1 before `from`, falling to 0 at 1.
fn fall(t: f64, from: f64) -> f64 {
    if t < from { 1.0 } else { (1.0 - t) / (1.0 - from) }
}

/// By how much of its target each of `n` states lies beside its datum: one number for all of a state.
fn gone(inputs: &Inputs, names: [&str; 3], x: &Tensor) -> Vec<f64> {
    let ratio = (inputs.of(names[0]) - x) / inputs.of(names[1]);
    let ratio = ratio.flatten(1, -1);
    let mean = ratio.mean_dim([1i64].as_slice(), true, Kind::Float);
    assert!((ratio - &mean).abs().max().double_value(&[]) < 1e-3);
    numbers(&mean)
}

fn in_part(i: usize, t: f64, n: usize) {
    let part = t * n as f64 - i as f64;
    assert!((-0.01..1.01).contains(&part), "state {i} of {n} at {t}");
}

/// On states of the shape [2, 1, 3], five of them and one.
#[test]
fn lines_and_weights_are_those_of_their_formulas() {
    tch::set_num_threads(1);
    let (until, decay, scale) = (0.4, 0.6, 2.0);
    for n in [5, 1] {
        let x = Stream::new(3, "x").normal(&[n as i64, 2, 1, 3], Device::Cpu);
        let inputs = gathered(&format!("{{flow-matching: {{until: {until}}}}}"), &x);
        let weights = numbers(inputs.of(FLOW[2]));
        for (i, gone) in gone(&inputs, FLOW, &x).into_iter().enumerate() {
            in_part(i, 1.0 - gone, n);
            assert!((weights[i] - fall(1.0 - gone, until)).abs() < 1e-4, "{weights:?}");
        }
        let text = format!("{{equilibrium-matching: {{decay: {decay}, scale: {scale}}}}}");
        let inputs = gathered(&text, &x);
        assert_eq!(numbers(inputs.of(REST[2])), vec![1.0; n]);
        for (i, gone) in gone(&inputs, REST, &x).into_iter().enumerate() {
            // (1 - t) / c(t) tells the time before `decay`, and is one number after it.
            let falling = (1.0 - decay) / scale;
            match i as f64 / (n as f64) < decay && n > 1 {
                true => in_part(i, 1.0 - gone * scale, n),
                false => assert!(n == 1 || (gone - falling).abs() < 1e-4, "state {i}: {gone}"),
            }
            assert!(gone > falling - 1e-4);
        }
    }
}

/// For both terms, at a temperature that does not matter.
#[test]
fn losses_are_weighted_mean_squares() {
    tch::set_num_threads(1);
    let a = Tensor::from_slice(&[0.5f32, 1.0, 2.0, 0.1, 3.0, 0.7]).view([2, 1, 3]);
    let curvature = numbers(&a);
    for n in [5, 1] {
        let x = Stream::new(4, "x").normal(&[n as i64, 2, 1, 3], Device::Cpu);
        for (text, names) in [
            ("{flow-matching: {until: 0.4}}", FLOW),
            ("{equilibrium-matching: {decay: 0.3, scale: 2}}", REST),
        ] {
            let inputs = gathered(text, &x);
            let found = terms(text).loss(0, &Pass(&a), &inputs).value.double_value(&[]);
            let [at, target, weight] = names.map(|name| numbers(inputs.of(name)));
            let square = |i: usize| (curvature[i % 6] * at[i] - target[i]).powi(2) * weight[i / 6];
            let due = (0..6 * n).map(square).sum::<f64>() / (6 * n) as f64;
            assert!((found / due - 1.0).abs() < 1e-5, "{text}, {n}: {found} for {due}");
        }
    }
}

/// The contrast of seven negatives: value, energies that are reported, and slopes of the negatives.
fn contrast(text: &str) -> (f64, f64, Vec<f64>) {
    let pos = Tensor::from_slice(&[1.0f32, 2.0, 6.0]);
    let neg = Tensor::from_slice(&[5.0f32, -1.0, 40.0, 2.0, 0.0, 9.0, 3.0]).set_requires_grad(true);
    let table = Table {
        energies: vec![(name::DATA, pos), (name::NEGATIVES, neg.shallow_clone())],
        ..Table::default()
    };
    let loss = terms(text).loss(0, &table, &Inputs::default());
    loss.value.backward();
    let told = loss.parts.iter().find(|(name, _)| *name == "energy_neg");
    let told = told.unwrap().1.double_value(&[]);
    (loss.value.double_value(&[]), told, numbers(&neg.grad()))
}

#[test]
fn negatives_of_the_highest_energies_are_left_out() {
    let all = 58.0 / 7.0;
    let (value, told, slopes) = contrast("{contrastive: {}}");
    assert!((value - (3.0 - all)).abs() < 1e-5 && (told - all).abs() < 1e-5);
    assert!(slopes.iter().all(|slope| (slope + 1.0 / 7.0).abs() < 1e-6));
    // Two of seven: 40 and 9.
    let (value, told, slopes) = contrast("{contrastive: {trim: 0.3}}");
    assert!((value - (3.0 - 9.0 / 5.0)).abs() < 1e-5, "{value}");
    assert!((told - all).abs() < 1e-5, "all are reported: {told}");
    let due = [-0.2, -0.2, 0.0, -0.2, -0.2, 0.0, -0.2];
    assert!(
        slopes.iter().zip(due).all(|(slope, due)| (slope - due).abs() < 1e-6),
        "{slopes:?}"
    );
    // One is left at least.
    let (value, ..) = contrast("{contrastive: {trim: 0.99}}");
    assert!((value - 4.0).abs() < 1e-5, "{value}");
}

#[test]
fn a_contrast_below_its_floor_teaches_nothing() {
    let (value, _, slopes) = contrast("{contrastive: {floor: -0.5}}");
    assert_eq!((value, slopes), (-0.5, vec![0.0; 7]));
    let (value, _, slopes) = contrast("{contrastive: {floor: -20, weight: 2}}");
    assert!((value - 2.0 * (3.0 - 58.0 / 7.0)).abs() < 1e-4, "{value}");
    assert!(slopes.iter().all(|slope| *slope < 0.0));
}
