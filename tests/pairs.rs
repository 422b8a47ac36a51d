//! The terms of images with classes, on unequal classes: gradients against closed forms, and chains
//! on p(x,y).

#[path = "common/passes.rs"]
#[allow(dead_code)]
mod passes;

use std::path::Path;

use ebm::config::yaml;
use ebm::data::ClassShares;
use ebm::energy::{Condition, FrozenEnergy, LiveEnergy, Outputs, draw_classes, marginal};
use ebm::nn::NetworkConfig;
use ebm::nn::{Mode, Network};
use ebm::objective::{Inputs, ObjectiveConfig, name};
use ebm::rng::Stream;
use ebm::sampling::{ChainClasses, Langevin, LangevinConfig, run_chain};
use passes::OfNetwork;
use tch::{Device, Kind, Tensor};

/// f(x) = W x + b on two pixels under a reference N(0, s^2): p(x|y) is N(s^2 w_y, s^2), p(y) is in
/// proportion to exp(b_y + s^2 |w_y|^2 / 2).
const MODEL: &str = "
name: gaussians
input: [1, 1, 2]
output: logits
reference_std: 0.5
layers: [flatten, linear: {out: 3}]
";
const VARIANCE: f64 = 0.25;
const WEIGHT: [f64; 6] = [2.0, -1.0, -1.5, 0.5, 0.25, 3.0];
const BIAS: [f64; 3] = [0.3, 0.9, -1.0];

/// Labelled images: three of class 0, one of class 1, four of class 2.
const DATA: [f64; 16] = [
    0.3, -0.2, 0.9, 0.1, -0.4, -0.6, -0.8, 0.5, 0.2, 0.7, 0.6, 0.9, -0.1, 0.4, 0.5, -0.3,
];
const LABELS: [i64; 8] = [0, 0, 0, 1, 2, 2, 2, 2];
const COUNTS: [i64; 3] = [3, 1, 4];

fn tensor(values: &[f64], size: &[i64]) -> Tensor {
    Tensor::from_slice(values).view(size).to_kind(Kind::Float)
}

fn network() -> Network {
    let place = Path::new("gaussians.yaml");
    let model: NetworkConfig = yaml::typed(yaml::parse(MODEL, place).unwrap(), place).unwrap();
    let network = Network::new(&model, Device::Cpu, &mut Stream::new(0, "init")).unwrap();
    let values = [tensor(&WEIGHT, &[3, 2]), tensor(&BIAS, &[3])];
    let state = network.state().into_iter().zip(values);
    network
        .load(&state.map(|((name, _), t)| (name, t)).collect(), "test")
        .unwrap();
    network
}

fn p_of_classes() -> Tensor {
    let w = tensor(&WEIGHT, &[3, 2]);
    let logits = tensor(&BIAS, &[3]) + w.square().sum_dim_intlist(1, false, Kind::Float) * (VARIANCE / 2.0);
    logits.softmax(0, Kind::Float)
}

fn images() -> Tensor {
    tensor(&DATA, &[8, 1, 1, 2])
}

/// Exact samples of p(x|y), `[B,1,1,2]`.
fn given(classes: &Tensor, rng: &mut Stream) -> Tensor {
    let means = tensor(&WEIGHT, &[3, 2]).index_select(0, classes) * VARIANCE;
    let noise = rng.normal(&means.size(), Device::Cpu) * VARIANCE.sqrt();
    (means + noise).view([-1, 1, 1, 2])
}

/// Exact samples of p(y), `[n]`.
fn classes(n: i64, rng: &mut Stream) -> Tensor {
    let logits = p_of_classes().log().unsqueeze(0).expand([n, 3], false);
    draw_classes(&logits, &rng.gumbel(&[n, 3], Device::Cpu))
}

/// The gradient in W and b of what is minimised on the data and on `n` exact samples in the place
/// of chains, `[9]`.
fn gradient((classes_of, objective): &(ChainClasses, ObjectiveConfig), n: i64, rng: &mut Stream) -> Tensor {
    let network = network();
    let live = LiveEnergy::new(&network, Mode::Train, 1.0);
    let kept = Tensor::from_slice(&ClassShares::new(COUNTS.into()).draw(n, rng));
    let mut inputs = Inputs::default();
    inputs.put(name::DATA, images());
    inputs.put(name::LABELLED, images());
    inputs.put(name::LABELS, Tensor::from_slice(&LABELS));
    match classes_of {
        ChainClasses::Kept => {
            inputs.put(name::NEGATIVES, given(&kept, rng));
            inputs.put(name::KEPT_CLASSES, kept);
        }
        _ => {
            inputs.put(name::NEGATIVES, given(&classes(n, rng), rng));
            inputs.put(name::CLASS_NOISE, rng.gumbel(&[n, 3], Device::Cpu));
        }
    }
    let passes = OfNetwork {
        live: &live,
        inputs: &inputs,
    };
    let terms = objective.build(Device::Cpu);
    terms.loss(0, &passes, &inputs).value.backward();
    let grads: Vec<Tensor> = network
        .parameters()
        .iter()
        .map(|(_, p)| p.grad().flatten(0, -1))
        .collect();
    Tensor::cat(&grads, 0).to_kind(Kind::Double)
}

/// The gradient in W and b of -log p(x,y) of a class distribution `p` of the chains, less that of the data's pairs:
/// -mean [y+ = k] x+ + p(k) s^2 w_k, and -mean [y+ = k] + p(k).
fn of_pairs(p: &Tensor) -> Tensor {
    let label = Tensor::from_slice(&LABELS).one_hot(3).to_kind(Kind::Float) / 8.0;
    of_weights(&label, p)
}

/// The same with each image spread over the classes by `q`, `[8,3]`, that sums to 1 over
/// everything.
fn of_weights(q: &Tensor, p: &Tensor) -> Tensor {
    let w = tensor(&WEIGHT, &[3, 2]);
    let weight = p.unsqueeze(1) * w * VARIANCE - q.tr().matmul(&images().view([8, 2]));
    let bias = p - q.sum_dim_intlist(0, false, Kind::Float);
    Tensor::cat(&[weight.flatten(0, -1), bias], 0).to_kind(Kind::Double)
}

fn shares() -> Tensor {
    tensor(&COUNTS.map(|n| n as f64 / 8.0), &[3])
}

/// p(y|x+) / 8, `[8,3]`.
fn responsibilities() -> Tensor {
    let _guard = tch::no_grad_guard();
    let network = network();
    LiveEnergy::new(&network, Mode::Eval, 1.0)
        .raw(&images())
        .softmax(1, Kind::Float)
        / 8.0
}

fn p_x() -> Tensor {
    of_weights(&responsibilities(), &p_of_classes())
}

fn p_y_given_x() -> Tensor {
    // The cross entropy has no chains: responsibilities less labels.
    of_weights(&responsibilities(), &shares()) * -1.0 + of_pairs(&shares())
}

/// The mean gradient over many batches of samples is the closed form, within five of its standard
/// errors.
fn agrees(objective: (ChainClasses, ObjectiveConfig), expected: &Tensor) {
    let mut rng = Stream::new(11, "pairs");
    let found: Vec<Tensor> = (0..300).map(|_| gradient(&objective, 100, &mut rng)).collect();
    let found = Tensor::stack(&found, 0);
    let (mean, error) = (
        found.mean_dim(0, false, None),
        found.std_dim(0, true, false) / 300f64.sqrt(),
    );
    let off = (&mean - expected).abs() - error * 5.0;
    assert!(
        off.max().double_value(&[]) < 1e-6,
        "{objective:?}: {mean}, expected {expected}"
    );
}

fn weights(classes: ChainClasses, [x, y_x, x_y, xy]: [f64; 4]) -> (ChainClasses, ObjectiveConfig) {
    let text = format!(
        "{{contrastive: {{weight: {x}}}, cross-entropy: {{weight: {y_x}}}, conditional: {{weight: {x_y}}}, joint: {{weight: {xy}}}}}"
    );
    let place = Path::new("objective.yaml");
    let mut config: ObjectiveConfig = yaml::typed(yaml::parse(&text, place).unwrap(), place).unwrap();
    config.contrastive.take_if(|_| x == 0.0);
    config.cross_entropy.take_if(|_| y_x == 0.0);
    config.conditional.take_if(|_| x_y == 0.0);
    config.joint.take_if(|_| xy == 0.0);
    (classes, config)
}

#[test]
fn p_x_given_y_is_learned_by_chains_that_keep_their_class() {
    tch::set_num_threads(1);
    let expected = of_pairs(&shares());
    // It says nothing of p(y): the biases of the classes get no gradient at all.
    assert!(expected.narrow(0, 6, 3).abs().max().double_value(&[]) < 1e-6);
    agrees(weights(ChainClasses::Kept, [0.0, 0.0, 1.0, 0.0]), &expected);
    agrees(
        weights(ChainClasses::Kept, [0.0, 0.4, 0.7, 0.0]),
        &(expected * 0.7 + p_y_given_x() * 0.4),
    );
}

#[test]
fn p_x_and_p_x_y_are_learned_by_chains_that_draw_their_class() {
    tch::set_num_threads(1);
    agrees(
        weights(ChainClasses::Drawn, [0.0, 0.0, 0.0, 1.0]),
        &of_pairs(&p_of_classes()),
    );
    agrees(weights(ChainClasses::Drawn, [1.0, 0.0, 0.0, 0.0]), &p_x());
    agrees(
        weights(ChainClasses::Drawn, [0.5, 1.0, 0.0, 0.3]),
        &(p_x() * 0.5 + p_y_given_x() + of_pairs(&p_of_classes()) * 0.3),
    );
}

#[test]
fn the_term_of_p_x_y_is_that_of_p_x_and_the_cross_entropy() {
    tch::set_num_threads(1);
    let sum = p_x() + p_y_given_x();
    let off = (&sum - of_pairs(&p_of_classes())).abs().max().double_value(&[]);
    assert!(off < 1e-6, "the closed forms are off by {off:e}");
    agrees(weights(ChainClasses::Drawn, [0.0, 0.0, 0.0, 1.0]), &sum);
    agrees(weights(ChainClasses::Drawn, [1.0, 1.0, 0.0, 0.0]), &sum);
}

#[test]
fn chains_with_a_class_keep_the_moments_of_p_x_y() {
    tch::set_num_threads(1);
    let (n, step) = (4000, 0.004);
    let network = network();
    let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
    let text = format!("{{step_size: {step}}}");
    let place = Path::new("sampler.yaml");
    let sampler: LangevinConfig = yaml::typed(yaml::parse(&text, place).unwrap(), place).unwrap();
    let mut rng = Stream::new(12, "chains");
    // From a point: p(y) and p(x) are found, not kept.
    let start = Tensor::zeros([n, 1, 1, 2], (Kind::Float, Device::Cpu));
    let kernel = Langevin::new(&sampler, 400);
    let ends = run_chain(&kernel, &frozen.given(Condition::Drawn), start, 400, &mut rng).x;
    let gumbel = rng.gumbel(&[n, 3], Device::Cpu);
    let chosen = draw_classes(&frozen.network().forward(&ends), &gumbel);
    let p = p_of_classes();
    let seen = chosen.one_hot(3).to_kind(Kind::Float).mean_dim(0, false, None);
    let rest: Tensor = 1.0 - &p;
    let error = (&p * rest / n as f64).sqrt();
    let off = ((&seen - &p).abs() / error).max().double_value(&[]);
    assert!(off < 5.0, "classes {seen}, expected {p}");
    // Means of the pixels, with the variance of the mixture around them.
    let w = tensor(&WEIGHT, &[3, 2]) * VARIANCE;
    let expected = p.unsqueeze(0).matmul(&w);
    let second = p.unsqueeze(0).matmul(&w.square());
    let error = ((second - expected.square() + VARIANCE) / n as f64).sqrt();
    let mean = ends.view([n, 2]).mean_dim(0, true, None);
    let off = ((&mean - &expected).abs() / error).max().double_value(&[]);
    assert!(off < 5.0, "mean {mean}, expected {expected}");
}

#[test]
fn a_pass_that_draws_the_class_has_in_expectation_the_gradient_of_the_marginal_energy() {
    tch::set_num_threads(1);
    let network = network();
    let frozen = FrozenEnergy::new(&network, Kind::Float, 1.0);
    let (n, x) = (20_000, tensor(&[0.4, -0.3], &[1, 1, 1, 2]).set_requires_grad(true));
    let energy = marginal(&frozen.network().forward(&x)) + x.square().sum(Kind::Float) / (2.0 * VARIANCE);
    energy.sum(Kind::Float).backward();
    Stream::new(13, "classes").seed_next();
    let many = x.detach().expand([n, 1, 1, 2], false).contiguous();
    let found = ebm::energy::energy_and_grad(&frozen.given(Condition::Drawn), &many).grad;
    let error = found.std_dim(0, true, false) / (n as f64).sqrt();
    let off = ((found.mean_dim(0, false, None) - x.grad().squeeze_dim(0)).abs() / error).max();
    assert!(off.double_value(&[]) < 5.0, "{off}");
}
