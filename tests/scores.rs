//! Out-of-distribution scores against closed forms of networks written by hand, and against finite differences.

use std::path::Path;

use ebm::config::yaml;
use ebm::energy::{Energy, FrozenEnergy};
use ebm::eval::{Judge, Judged, Score};
use ebm::nn::Network;
use ebm::nn::NetworkConfig;
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor, no_grad_guard};

const CPU: Device = Device::Cpu;

fn network(text: &str) -> Network {
    let file = Path::new("test.yaml");
    let model: NetworkConfig = yaml::typed(yaml::parse(text, file).unwrap(), file).unwrap();
    Network::new(&model, CPU, &mut Stream::new(1, "init")).unwrap()
}

/// A network of one linear layer with these weights, a row an output, and biases.
fn linear(head: &str, rows: &[&[f32]], biases: &[f32]) -> Network {
    let outputs = rows.len();
    let network = network(&format!(
        "name: test\n{head}\nlayers: [flatten, linear: {{out: {outputs}}}]"
    ));
    let given = [Tensor::from_slice(&rows.concat()), Tensor::from_slice(biases)];
    let _guard = no_grad_guard();
    for ((_, own), given) in network.parameters().iter().zip(given) {
        own.shallow_clone().copy_(&given.view_as(own));
    }
    network
}

fn frozen(network: &Network) -> FrozenEnergy {
    FrozenEnergy::new(network, Kind::Float, 1.0)
}

fn judge(judge: &Judge, scores: &[Score], images: &Tensor) -> Judged {
    judge.judge(scores, images, 2, &mut Stream::new(1, "noise")).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    assert_eq!((t.kind(), t.dim()), (Kind::Double, 1));
    Vec::try_from(t).unwrap()
}

/// Within a few roundings of f32 numbers of this size.
fn assert_near(found: &Tensor, expected: &[f64]) {
    let found = numbers(found);
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() <= 16.0 * f64::from(f32::EPSILON) * e.abs().max(1.0),
            "{f} is not {e}"
        );
    }
}

const TWO: &str = "input: [1, 1, 2]";
const THREE_CLASSES: &str = "input: [1, 1, 2]\noutput: logits";
const W: [&[f32]; 3] = [&[1.0, -2.0], &[0.5, 3.0], &[-1.5, 0.25]];
const B: [f32; 3] = [0.1, -0.2, 0.3];
const X: [[f64; 2]; 3] = [[0.5, -0.25], [-1.0, 1.0], [0.0, 0.75]];

fn x() -> Tensor {
    Tensor::from_slice(&X.concat()).view([3, 1, 1, 2])
}

fn logits(x: [f64; 2]) -> [f64; 3] {
    std::array::from_fn(|y| f64::from(W[y][0]) * x[0] + f64::from(W[y][1]) * x[1] + f64::from(B[y]))
}

fn logsumexp(f: [f64; 3]) -> f64 {
    f.iter().map(|v| v.exp()).sum::<f64>().ln()
}

fn softmax(f: [f64; 3]) -> [f64; 3] {
    f.map(|v| (v - logsumexp(f)).exp())
}

#[test]
fn a_linear_energy_has_its_weights_as_gradient() {
    let energy = frozen(&linear(TWO, &[&[3.0, -4.0]], &[0.5]));
    let judged = judge(
        &Judge::new(&energy).with_typical(2.0),
        &[Score::GradNorm, Score::LogPx, Score::Typicality, Score::Energy],
        &x(),
    );
    let expected = X.map(|[a, b]| 3.0 * a - 4.0 * b + 0.5);
    assert_near(&judged.scores[0], &[5.0; 3]);
    assert_near(&judged.scores[1], &expected);
    // log p = -E lies |-E - 2| from the mean 2.
    assert_near(&judged.scores[2], &expected.map(|e| (-e - 2.0).abs()));
    assert_near(&judged.scores[3], &expected);
    assert!(judged.probabilities.is_none());
    assert!(judged.scores.iter().all(|s| !s.requires_grad()));
    // A network that gives f = -E.
    let turned = frozen(&linear(
        "input: [1, 1, 2]\noutput: negative-energy",
        &[&[3.0, -4.0]],
        &[0.5],
    ));
    assert_near(
        &judge(&Judge::new(&turned), &[Score::LogPx], &x()).scores[0],
        &expected.map(|e| -e),
    );
    // Levels: u8 v is v / 127.5 - 1.
    let levels = Tensor::from_slice(&[255u8, 0, 51, 204]).view([2, 1, 1, 2]);
    let judged = judge(&Judge::new(&energy), &[Score::LogPx], &levels);
    assert_near(&judged.scores[0], &[3.0 + 4.0 + 0.5, 3.0 * -0.6 - 4.0 * 0.6 + 0.5]);
}

#[test]
fn a_quadratic_energy_has_the_image_as_gradient() {
    let network = linear("input: [1, 1, 2]\nreference_std: 0.5", &[&[0.0, 0.0]], &[0.0]);
    // The reference of the network is a term of E/T: E = T |x|^2 / (2 s^2), whose gradient is T x / s^2.
    let energy = FrozenEnergy::new(&network, Kind::Float, 0.1);
    let judged = judge(&Judge::new(&energy), &[Score::LogPx, Score::GradNorm], &x());
    let squares = X.map(|[a, b]| a * a + b * b);
    assert_near(&judged.scores[0], &squares.map(|s| 0.1 * s / 0.5));
    assert_near(&judged.scores[1], &squares.map(|s| 0.1 * s.sqrt() / 0.25));
}

#[test]
fn a_classifier_has_all_scores() {
    let energy = frozen(&linear(THREE_CLASSES, &W, &B));
    let judged = judge(
        &Judge::new(&energy).at_temperature(2.0).with_typical(-1.0),
        &Score::ALL,
        &x(),
    );
    let f = X.map(logits);
    let of = |score: Score| &judged.scores[Score::ALL.iter().position(|s| *s == score).unwrap()];
    let largest = |v: [f64; 3]| v.into_iter().fold(f64::MIN, f64::max);
    assert_near(of(Score::LogPx), &f.map(|f| -logsumexp(f)));
    assert_near(of(Score::MaxPy), &f.map(|f| -largest(softmax(f))));
    assert_near(of(Score::Joint), &f.map(|f| -largest(f)));
    assert_near(of(Score::Energy), &f.map(|f| -2.0 * logsumexp(f.map(|v| v / 2.0))));
    assert_near(of(Score::Typicality), &f.map(|f| (logsumexp(f) + 1.0).abs()));
    // dE/dx = -sum_y p(y|x) w_y.
    let gradient = |f: [f64; 3], i: usize| -> f64 { (0..3).map(|y| softmax(f)[y] * f64::from(W[y][i])).sum() };
    assert_near(of(Score::GradNorm), &f.map(|f| gradient(f, 0).hypot(gradient(f, 1))));
    let p = judged.probabilities.as_ref().unwrap();
    assert_eq!((p.size(), p.kind()), (vec![3, 3], Kind::Double));
    assert_near(&p.reshape([-1]), &f.map(softmax).concat());
}

#[test]
fn confident_predictions_do_not_tie() {
    // Logits 20 and 21 above the others: 1 - 4e-9 and 1 - 2e-9, both 1 in f32.
    let energy = frozen(&linear(
        THREE_CLASSES,
        &[&[20.0, 1.0], &[0.0, 0.0], &[0.0, 0.0]],
        &[0.0; 3],
    ));
    let images = Tensor::from_slice(&[1.0f32, 0.0, 1.0, 1.0]).view([2, 1, 1, 2]);
    let found = numbers(&judge(&Judge::new(&energy), &[Score::MaxPy], &images).scores[0]);
    assert!(
        found[0] as f32 == -1.0 && found[1] as f32 == -1.0 && found[1] < found[0],
        "{found:?}"
    );
}

const SMOOTH: &str = "
name: smooth
input: [2, 8, 8]
output: logits
layers:
  - conv: {out: 8, kernel: 3, padding: 1}
  - silu
  - conv: {out: 8, kernel: 3, stride: 2, padding: 1}
  - silu
  - flatten
  - linear: {out: 4}
";

fn smooth_images(n: i64) -> Tensor {
    Stream::new(2, "images").uniform(&[n, 2, 8, 8], -1.0, 1.0, CPU)
}

#[test]
fn the_gradient_norm_is_the_slope_uphill() {
    let energy = frozen(&network(SMOOTH));
    let images = smooth_images(6);
    let norms = numbers(&judge(&Judge::new(&energy), &[Score::GradNorm], &images).scores[0]);
    let gradient = ebm::energy::energy_and_grad(&energy, &images).grad;
    for (i, norm) in norms.iter().enumerate() {
        let (x, g) = (images.narrow(0, i as i64, 1), gradient.narrow(0, i as i64, 1));
        let direction = &g / g.norm();
        let at = |h: f64| energy.energy(&(&x + &direction * h)).double_value(&[0]);
        // Roundings of energies near 1 are 1e-7, over 2h = 0.2; the third derivative adds h^2 / 6 of it.
        let slope = (at(0.1) - at(-0.1)) / 0.2;
        assert!((slope - norm).abs() < 0.01 * norm, "{slope} and {norm}");
    }
    assert!(
        norms.iter().any(|n| (n - norms[0]).abs() > 0.01 * norms[0]),
        "they differ between images"
    );
}

#[test]
fn batches_do_not_matter() {
    let energy = frozen(&network(SMOOTH));
    let images = smooth_images(7);
    let judge = Judge::new(&energy).with_typical(0.0);
    let by = |batch: usize| {
        judge
            .judge(&Score::ALL, &images, batch, &mut Stream::new(1, "x"))
            .unwrap()
    };
    let (one, all) = (by(1), by(100));
    for (a, b) in one.scores.iter().zip(&all.scores) {
        assert_near(a, &numbers(b));
    }
    assert_near(
        &one.probabilities.unwrap().reshape([-1]),
        &numbers(&all.probabilities.unwrap().reshape([-1])),
    );
    let none = judge
        .judge(&Score::ALL, &smooth_images(0), 4, &mut Stream::new(1, "x"))
        .unwrap();
    assert!(none.scores.iter().all(|s| s.size() == [0]));
    assert_eq!(none.probabilities.unwrap().size(), [0, 4]);
}

#[test]
fn noise_is_added_before_scoring_and_repeats() {
    let ones = [1.0f32; 16];
    let energy = frozen(&linear("input: [1, 4, 4]", &[&ones], &[0.0]));
    let images = Tensor::zeros([4000, 1, 4, 4], (Kind::Float, CPU));
    let scored = |std: f64, seed: u64| {
        let judge = Judge::new(&energy).with_noise(std);
        let rng = &mut Stream::new(seed, "noise");
        judge
            .judge(&[Score::LogPx], &images, 512, rng)
            .unwrap()
            .scores
            .remove(0)
    };
    assert_eq!(scored(0.0, 1).abs().max().double_value(&[]), 0.0);
    let noisy = scored(0.3, 1);
    assert_eq!(noisy, scored(0.3, 1));
    assert_ne!(noisy, scored(0.3, 2));
    // A sum of 16 pixels of N(0, 0.09): variance 1.44, whose estimate from n has the standard error 1.44 sqrt(2/n).
    let (n, variance) = (4000.0f64, noisy.square().mean(Kind::Double).double_value(&[]));
    assert!((variance - 1.44).abs() < 5.0 * 1.44 * (2.0 / n).sqrt(), "{variance}");
    assert!(noisy.mean(Kind::Double).double_value(&[]).abs() < 5.0 * 1.2 / n.sqrt());
}

#[test]
fn the_mean_of_log_p_is_minus_the_mean_energy() {
    let energy = frozen(&linear(TWO, &[&[3.0, -4.0]], &[0.5]));
    let mean = Judge::new(&energy)
        .mean_log_px(&x(), 2, &mut Stream::new(1, "x"))
        .unwrap();
    let expected = -X.map(|[a, b]| 3.0 * a - 4.0 * b + 0.5).iter().sum::<f64>() / 3.0;
    assert!((mean - expected).abs() < 1e-6, "{mean}");
}

#[test]
fn what_a_score_needs_is_asked_for() {
    let energy = frozen(&linear(TWO, &[&[3.0, -4.0]], &[0.5]));
    for (score, words) in [
        (Score::MaxPy, ["max_py", "logits"]),
        (Score::Joint, ["joint", "logits"]),
        (Score::Typicality, ["typicality", "training images"]),
    ] {
        let error = Judge::new(&energy)
            .judge(&[score], &x(), 2, &mut Stream::new(1, "x"))
            .unwrap_err();
        assert!(error.is_input(), "{error}");
        assert!(words.iter().all(|w| error.to_string().contains(w)), "{error}");
    }
}

#[test]
fn scores_have_words_and_signs() {
    for score in Score::ALL {
        assert_eq!(score.word().parse::<Score>().unwrap(), score);
        assert_eq!(serde_json::to_value(score).unwrap(), score.word());
    }
    assert_eq!(Score::LogPx.name(), "-log p(x)");
    assert_eq!(Score::MaxPy.name(), "-max p(y|x)");
    assert_eq!(Score::GradNorm.name(), "|grad log p|");
    let error = "logpx".parse::<Score>().unwrap_err().to_string();
    assert!(error.contains("`logpx`") && error.contains("log_px"), "{error}");
    use Score::*;
    assert_eq!(Score::distinct(false, 1.0), [LogPx, GradNorm, Typicality]);
    assert_eq!(Score::distinct(true, 1.0), [LogPx, MaxPy, GradNorm, Joint, Typicality]);
    assert_eq!(Score::distinct(true, 2.0), Score::ALL);
}
