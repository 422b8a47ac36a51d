//! Noise that is a mixture: fitted to draws of a known one it is that one, it is normalised, and it
//! teaches what it should.

use std::path::Path;

use ebm::config::yaml;
use ebm::data::Images;
use ebm::models::{Density, ModelConfig};
use ebm::objective::{FittedMixture, Inputs, MixtureNoise, ObjectiveConfig, Passes, name};
use ebm::rng::Stream;
use ebm::space::sum_each;
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Standard errors that are allowed.
const SIGMAS: f64 = 5.0;

/// Weight, mean, and the lower triangular factor of the covariance, xx, yx, yy.
type Component = (f64, [f64; 2], [f64; 3]);

/// So far apart that a state's component is the one of the nearest mean.
const TRUTH: [Component; 3] = [
    (0.2, [-3.0, 1.0], [0.3, 0.2, 0.5]),
    (0.3, [2.0, 3.0], [0.7, -0.3, 0.2]),
    (0.5, [1.0, -3.0], [0.4, 0.0, 0.8]),
];

fn truth(n: i64, rng: &mut Stream) -> Tensor {
    let u = rng.uniform(&[n], 0.0, 1.0, Device::Cpu);
    let mut x = Tensor::zeros([n, 2], CPU);
    let mut from = 0.0;
    for (weight, [a, b], [xx, yx, yy]) in TRUTH {
        let z = rng.normal(&[n, 2], Device::Cpu);
        let (z0, z1) = (z.select(1, 0), z.select(1, 1));
        let state = Tensor::stack(&[&z0 * xx + a, &z0 * yx + &z1 * yy + b], 1);
        let own = u.ge(from).logical_and(&u.lt(from + weight));
        x += state * own.unsqueeze(1);
        from += weight;
    }
    x
}

/// log p of the truth, f64 `[B]`.
fn log_truth(x: &Tensor) -> Tensor {
    let x = x.to_kind(Kind::Double);
    let each = TRUTH.map(|(weight, [a, b], [xx, yx, yy])| {
        let z0 = (x.select(1, 0) - a) / xx;
        let z1 = (x.select(1, 1) - b - &z0 * yx) / yy;
        (z0.square() + z1.square()) * -0.5 + (weight / (2.0 * std::f64::consts::PI * xx * yy)).ln()
    });
    Tensor::stack(&each, 1).logsumexp(1, false)
}

fn fit(x: &Tensor, components: usize, jitter: f64, iterations: u64) -> FittedMixture {
    let config = MixtureNoise {
        components,
        jitter,
        iterations,
    };
    FittedMixture::fit(&Images::unlabelled(x.shallow_clone()), &config).unwrap()
}

fn mean(x: &Tensor) -> f64 {
    x.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// Draws of the fit have the truth's shares, means and covariances, within the errors of the states
/// that were fitted and of those that are drawn.
#[test]
fn a_known_mixture_is_recovered() {
    tch::set_num_threads(1);
    let rng = &mut Stream::new(1, "known");
    let (fitted, drawn) = (20_000, 100_000);
    let mixture = fit(&truth(fitted, rng), 3, 1e-6, 100);
    let x = mixture.draw(&[drawn, 2], Device::Cpu, rng).to_kind(Kind::Double);
    let far = TRUTH.map(|(_, [a, b], _)| (x.select(1, 0) - a).square() + (x.select(1, 1) - b).square());
    let of = Tensor::stack(&far, 1).argmin(1, false);
    // 1 / n of both samples together.
    let each = 1.0 / fitted as f64 + 1.0 / drawn as f64;
    let near = |what: &str, found: f64, due: f64, variance: f64| {
        let error = (variance * each).sqrt();
        assert!(
            (found - due).abs() < SIGMAS * error,
            "{what}: {found} for {due} +- {error}"
        );
    };
    for (k, (weight, [a, b], [xx, yx, yy])) in TRUTH.into_iter().enumerate() {
        let own = x.index_select(0, &of.eq(k as i64).nonzero().squeeze_dim(1));
        near(
            "weight",
            own.size()[0] as f64 / drawn as f64,
            weight,
            weight * (1.0 - weight),
        );
        let (x, y) = (own.select(1, 0), own.select(1, 1));
        let [vx, vxy, vy] = [xx * xx, xx * yx, yx * yx + yy * yy];
        near("mean of x", mean(&x), a, vx / weight);
        near("mean of y", mean(&y), b, vy / weight);
        let (x, y) = (&x - mean(&x), &y - mean(&y));
        near("variance of x", mean(&x.square()), vx, 2.0 * vx * vx / weight);
        near("variance of y", mean(&y.square()), vy, 2.0 * vy * vy / weight);
        near("covariance", mean(&(x * y)), vxy, (vx * vy + vxy * vxy) / weight);
    }
}

/// Twice the likelihood's surplus over the truth's is chi-squared with as many degrees of freedom as
/// there are parameters, 17 (Wilks 1938): the fit is at the maximum, and its density is the right one.
#[test]
fn the_likelihood_is_the_largest_there_is() {
    tch::set_num_threads(1);
    let x = truth(20_000, &mut Stream::new(2, "wilks"));
    let log = fit(&x, 3, 1e-6, 100).log(&x).to_kind(Kind::Double);
    let surplus = 2.0 * (log - log_truth(&x)).sum(Kind::Double).double_value(&[]);
    let error = (2.0 * 17.0f64).sqrt();
    assert!((surplus - 17.0).abs() < SIGMAS * error, "{surplus} for 17 +- {error}");
}

/// Cells of 0.05 in [-12, 12]^2: a sum over a grid is exact for what is smooth over so many cells.
#[test]
fn densities_integrate_to_one() {
    tch::set_num_threads(1);
    let axis = Tensor::linspace(-12.0, 12.0, 481, CPU);
    let both = Tensor::meshgrid_indexing(&[&axis, &axis], "ij");
    let grid = Tensor::stack(&both, 2).view([-1, 2]);
    let place = Path::new("model");
    let text = "{gaussian-mixture: {input: [2], components: 5, spread: 1.5, std: 0.7}}";
    let model: ModelConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    let rng = &mut Stream::new(3, "grid");
    let model = model.build(Device::Cpu, rng).unwrap();
    // Components of unequal weights and widths.
    for (_, parameter) in model.parameters() {
        let moved = parameter.detach() + rng.normal(&parameter.size(), Device::Cpu) * 0.3;
        parameter.detach().copy_(&moved);
    }
    let trained = model.density().unwrap();
    let fitted = fit(&truth(5000, rng), 4, 1e-3, 20);
    for density in [&*trained, &fitted as &dyn Density] {
        let p = density.log(&grid).to_kind(Kind::Double).exp();
        let mass = p.sum(Kind::Double).double_value(&[]) * 0.05f64.powi(2);
        assert!((mass - 1.0).abs() < 1e-4, "{density:?}: {mass}");
        // Independent draws have the density's own mean log-likelihood.
        let log = density
            .log(&density.draw(&[40_000, 2], Device::Cpu, rng))
            .to_kind(Kind::Double);
        let due = (&p * p.log())
            .nan_to_num(0.0, 0.0, 0.0)
            .sum(Kind::Double)
            .double_value(&[])
            * 0.05f64.powi(2);
        let error = log.std(true).double_value(&[]) / 200.0;
        assert!(
            (mean(&log) - due).abs() < SIGMAS * error,
            "{} for {due} +- {error}",
            mean(&log)
        );
    }
}

/// On states that no mixture fits well, each further pass makes them likelier.
#[test]
fn passes_never_make_the_states_less_likely() {
    tch::set_num_threads(1);
    let rng = &mut Stream::new(4, "passes");
    let angle = rng.uniform(&[4000], 0.0, std::f64::consts::TAU, Device::Cpu);
    let radius = rng.normal(&[4000], Device::Cpu) * 0.1 + 2.0;
    let x = Tensor::stack(&[angle.cos() * &radius, angle.sin() * radius], 1);
    let of = |iterations| mean(&fit(&x, 5, 1e-3, iterations).log(&x));
    let likelihoods: Vec<f64> = (1..=12).map(of).collect();
    for pair in likelihoods.windows(2) {
        // The rounding of f32 in the mean of 4000.
        assert!(pair[1] > pair[0] - 1e-6, "{likelihoods:?}");
    }
    assert!(likelihoods[11] > likelihoods[0] + 0.005, "{likelihoods:?}");
}

/// Three states, each many times, and five components: what has no width is left with the jitter, and
/// what has no state with next to no weight.
#[test]
fn components_that_collapse_keep_their_jitter() {
    tch::set_num_threads(1);
    let points = Tensor::from_slice2(&[[0.0f32, 0.0], [3.0, 1.0], [-2.0, 4.0]]);
    let of: Vec<i64> = [vec![0; 10], vec![1; 20], vec![2; 70]].concat();
    let x = points.index_select(0, &Tensor::from_slice(&of));
    let jitter = 1e-2;
    let mixture = fit(&x, 5, jitter, 20);
    let log = Vec::<f32>::try_from(mixture.log(&points)).unwrap();
    for (found, share) in log.iter().zip([0.1f64, 0.2, 0.7]) {
        let due = (share / (2.0 * std::f64::consts::PI * jitter)).ln();
        assert!((f64::from(*found) - due).abs() < 1e-4, "{found} for {due}");
    }
    let drawn = mixture.draw(&[1000, 2], Device::Cpu, &mut Stream::new(5, "drawn"));
    assert!(bool::try_from(drawn.isfinite().all()).unwrap());
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let images = Images::unlabelled(Tensor::zeros([3, 2], CPU));
    let config = MixtureNoise {
        components: 4,
        jitter: 1e-3,
        iterations: 1,
    };
    let error = FittedMixture::fit(&images, &config).unwrap_err().to_string();
    assert!(
        error.contains("mixture.components") && error.contains("4 components") && error.contains("3 training states"),
        "{error}"
    );
}

/// E = |x - m|^2 / (2 exp(s)) on 16 numbers.
struct Bowl<'a> {
    m: &'a Tensor,
    s: &'a Tensor,
    inputs: &'a Inputs,
}

impl Passes for Bowl<'_> {
    fn energy(&self, input: &str) -> Tensor {
        sum_each(&(self.inputs.of(input) - self.m).square()) / (self.s.exp() * 2.0)
    }

    fn logits(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn joint(&self, _: &str, _: &Tensor) -> Tensor {
        unreachable!()
    }

    fn live(&self) -> Box<dyn ebm::energy::Energy + '_> {
        unreachable!()
    }

    fn held(&self) -> Box<dyn ebm::energy::Energy + '_> {
        unreachable!()
    }

    fn chain_end(&self) -> Tensor {
        unreachable!()
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}

/// Images of 4 x 4 numbers N(m, v), noise from a mixture fitted to few of them. The loss is convex in
/// m / v, 1 / v and log Z (it is logistic regression), so its minimum is where its gradient vanishes:
/// at the right m and v, and at log Z = 8 log(2 pi v), but not beside it.
#[test]
fn the_minimum_is_the_density_of_many_numbers_with_its_normaliser() {
    tch::set_num_threads(1);
    let place = Path::new("objective");
    let text = "{nce: {noise: {mixture: {components: 3, jitter: 0.05}}, ratio: 2}}";
    let config: ObjectiveConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    let mut terms = config.build(Device::Cpu);
    let rng = &mut Stream::new(6, "many");
    let (size, v) = ([1, 4, 4], 0.6f64);
    let m = rng.normal(&size, Device::Cpu).set_requires_grad(true);
    let s = Tensor::full([0i64; 0], v.ln(), CPU).set_requires_grad(true);
    let data = |n: i64, rng: &mut Stream| rng.normal(&[n, 1, 4, 4], Device::Cpu) * v.sqrt() + m.detach();
    terms.fit(&Images::unlabelled(data(300, rng))).unwrap();
    let log_z = terms.parameters().remove(0).1;
    let right = 8.0 * (2.0 * std::f64::consts::PI * v).ln();
    // Each derivative's mean over batches, in standard errors; that in log Z comes last.
    let mut gradient = |at: f64| {
        let _ = log_z.detach().fill_(at);
        let batch = |_| {
            let mut inputs = Inputs::default();
            inputs.put(name::DATA, data(500, rng));
            terms.gather(0, &mut inputs, rng);
            assert_eq!(inputs.of("noise states").size(), [1000, 1, 4, 4]);
            let (m, s, inputs) = (&m, &s, &inputs);
            let loss = terms.loss(0, &Bowl { m, s, inputs }, inputs).value;
            let all = Tensor::run_backward(&[loss], &[m, s, &log_z], false, false);
            let all: Vec<Tensor> = all.iter().map(|g| g.view(-1)).collect();
            Tensor::cat(&all, 0).to_kind(Kind::Double)
        };
        let all = Tensor::stack(&(0..60).map(batch).collect::<Vec<_>>(), 0);
        let of_mean = all.std_dim(0, true, false) / 60f64.sqrt();
        Vec::<f64>::try_from(all.mean_dim(0, false, Kind::Double) / of_mean).unwrap()
    };
    let there = gradient(right);
    println!("{there:.1?} at the minimum");
    assert_eq!(there.len(), 18);
    assert!(there.iter().all(|t| t.abs() < SIGMAS), "{there:?}");
    for (beside, sign) in [(right - 0.2, -1.0), (right + 0.2, 1.0)] {
        let slope = gradient(beside)[17];
        assert!(slope * sign > SIGMAS, "{slope} at log Z = {beside}");
    }
}
