//! All terms of objectives through one test: each recovers a known density, and its gradient is that
//! of finite differences.
//!
//! The model is a mixture of two unequal Gaussians with a class each, E(x,y) = (x - m_y)^2 / (2 v_y) +
//! b_y on one number, whose samples and density are known in closed form.

#[path = "common/fields.rs"]
mod fields;

use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;

use ebm::config::yaml;
use ebm::data::Images;
use ebm::energy::{Energy, Head, Outputs, draw_classes, energy_and_grad_with_graph};
use ebm::models::{Density, ModelConfig};
use ebm::nn::{LevelForm, Levels, Output};
use ebm::objective::{Asks, Inputs, ObjectiveConfig, Passes, Terms, name};
use ebm::optim::{Optimizer, OptimizerConfig};
use ebm::rng::Stream;
use ebm::sampling::kernels::Mala;
use ebm::sampling::{ChainClasses, GraphStep, KernelConfig, Langevin, LangevinConfig, run_chain};
use ebm::space::Space;
use fields::field;
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Parameters of the mixture, `[2]` each.
#[derive(Debug)]
struct Mixture {
    mean: Tensor,
    log_variance: Tensor,
    bias: Tensor,
}

impl Mixture {
    fn of(mean: [f32; 2], variance: [f32; 2], bias: [f32; 2]) -> Self {
        let leaf = |values: [f32; 2]| Tensor::from_slice(&values).set_requires_grad(true);
        Self {
            mean: leaf(mean),
            log_variance: leaf(variance.map(f32::ln)),
            bias: leaf(bias),
        }
    }

    /// What data are drawn from: of weights 0.26 and 0.74.
    fn truth() -> Self {
        Self::of([-1.5, 1.0], [0.5, 0.8], [0.8, 0.0])
    }

    /// Where learning begins.
    fn start() -> Self {
        Self::of([-0.5, 0.5], [1.0, 1.0], [0.0, 0.0])
    }

    fn parameters(&self) -> [(String, Tensor); 3] {
        [
            ("mean", &self.mean),
            ("log_variance", &self.log_variance),
            ("bias", &self.bias),
        ]
        .map(|(name, t)| (name.to_owned(), t.shallow_clone()))
    }

    fn held(&self) -> Self {
        let copy = |t: &Tensor| t.detach().copy();
        Self {
            mean: copy(&self.mean),
            log_variance: copy(&self.log_variance),
            bias: copy(&self.bias),
        }
    }

    /// f(x)[y] = -E(x,y), `[B,2]`.
    fn logits(&self, x: &Tensor) -> Tensor {
        let square = (x.view([-1, 1]) - &self.mean).square();
        (square / (self.log_variance.exp() * 2.0) + &self.bias).neg()
    }

    /// The logits of the mixture smoothed by N(0, sigma^2), `[B,2]`; sigma is `[]` or `[B]`.
    fn smoothed(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        let log_shares = (&self.log_variance * 0.5 - &self.bias).log_softmax(0, Kind::Float);
        let variance = self.log_variance.exp() + sigma.view([-1, 1]).square();
        let square = (x.view([-1, 1]) - &self.mean).square();
        (square / &variance + variance.log()) * -0.5 + log_shares
    }

    /// p(y) of the model, `[2]`.
    fn shares(&self) -> Tensor {
        (&self.log_variance * 0.5 - &self.bias).detach().softmax(0, Kind::Float)
    }

    /// States of classes `[n]`.
    fn given(&self, classes: &Tensor, rng: &mut Stream) -> Tensor {
        let of = |t: Tensor| t.detach().index_select(0, classes);
        let z = rng.normal(&classes.size(), Device::Cpu);
        (of(self.mean.shallow_clone()) + z * of((&self.log_variance * 0.5).exp())).unsqueeze(1)
    }

    fn classes(&self, n: i64, rng: &mut Stream) -> Tensor {
        let logits = self.shares().log().unsqueeze(0).expand([n, 2], false);
        draw_classes(&logits, &rng.gumbel(&[n, 2], Device::Cpu))
    }
}

/// E(x), or E(x,y) of classes.
struct Of<'a>(&'a Mixture, Option<&'a Tensor>);

impl Energy for Of<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let logits = self.0.logits(x);
        match self.1 {
            Some(classes) => ebm::energy::joint(&logits, classes),
            None => ebm::energy::marginal(&logits),
        }
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(Smoothed(self.0, sigma.shallow_clone())))
    }
}

/// E(x, sigma) of the smoothed mixture.
struct Smoothed<'a>(&'a Mixture, Tensor);

impl Energy for Smoothed<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        ebm::energy::marginal(&self.0.smoothed(x, &self.1))
    }
}

impl Outputs for Mixture {
    fn head(&self) -> Head {
        Head::new(Output::Logits, 1.0)
    }

    fn raw(&self, x: &Tensor) -> Tensor {
        self.logits(x)
    }

    fn classes(&self) -> Option<i64> {
        Some(2)
    }

    fn levels(&self) -> Option<Levels> {
        Some(Levels {
            low: 0.1,
            high: 3.0,
            form: LevelForm::Divided,
        })
    }

    fn raw_at(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        self.smoothed(x, sigma)
    }
}

/// A pass of the mixture.
struct Pass<'a> {
    live: &'a Mixture,
    held: Mixture,
    inputs: &'a Inputs,
    end: OnceCell<Tensor>,
}

impl<'a> Pass<'a> {
    fn new(live: &'a Mixture, held: &Mixture, inputs: &'a Inputs) -> Self {
        Self {
            live,
            held: held.held(),
            inputs,
            end: OnceCell::new(),
        }
    }
}

impl Passes for Pass<'_> {
    fn energy(&self, input: &str) -> Tensor {
        Of(self.live, None).energy(self.inputs.of(input))
    }

    fn logits(&self, input: &str) -> Tensor {
        self.live.logits(self.inputs.of(input))
    }

    fn joint(&self, input: &str, classes: &Tensor) -> Tensor {
        Of(self.live, Some(classes)).energy(self.inputs.of(input))
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(Of(self.live, None))
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(Of(&self.held, None))
    }

    fn chain_end(&self) -> Tensor {
        let end = self.end.get_or_init(|| {
            let [before, noise] = [name::BEFORE_LAST, name::LAST_NOISE].map(|n| self.inputs.of(n));
            let kernel = Langevin::new(&LangevinConfig::plain(0.5), 1);
            kernel.step_with_graph(&Of(self.live, None), before, noise, 0)
        });
        end.shallow_clone()
    }

    fn temperature(&self) -> f64 {
        1.0
    }
}

/// Where chains end that a term starts itself, by a kernel that is right.
fn own_chains(terms: &Terms, model: &Mixture, inputs: &Inputs, rng: &mut Stream) -> Tensor {
    let kernel = KernelConfig::Mala(Mala {
        step_size: 0.5,
        temperature: 1.0,
    });
    let start = terms.chain_start(0, inputs).expect("the term starts its chains");
    let own = terms.chain_target(0, model, 1.0, inputs);
    let energy = own.unwrap_or_else(|| Box::new(Of(model, None)));
    run_chain(&*kernel.build(1), &*energy, start, 20, rng).x
}

/// What a step gathers: data of the truth, exact samples of the model in the place of chains.
fn gather(asks: &Asks, terms: &Terms, model: &Mixture, n: i64, rng: &mut Stream) -> Inputs {
    let (truth, mut inputs) = (Mixture::truth(), Inputs::default());
    let labels = truth.classes(n, rng);
    let x = truth.given(&labels, rng);
    if asks.data {
        inputs.put(name::DATA, x.shallow_clone());
    }
    if asks.labels {
        inputs.put(name::LABELLED, x);
        inputs.put(name::LABELS, labels);
    }
    if asks.own_chains {
        terms.before_chains(0, &mut inputs, rng);
        inputs.put(name::NEGATIVES, own_chains(terms, model, &inputs, rng));
    } else if asks.chains {
        let kept = asks.chain_classes == Some(ChainClasses::Kept);
        // Classes that are kept have the shares of the labels.
        let classes = if kept {
            truth.classes(n, rng)
        } else {
            model.classes(n, rng)
        };
        inputs.put(name::NEGATIVES, model.given(&classes, rng));
        match asks.chain_classes {
            Some(ChainClasses::Kept) => inputs.put(name::KEPT_CLASSES, classes),
            Some(ChainClasses::Drawn) => inputs.put(name::CLASS_NOISE, rng.gumbel(&[n, 2], Device::Cpu)),
            _ => {}
        }
    }
    if asks.chain_end {
        inputs.put(name::BEFORE_LAST, rng.normal(&[n, 1], Device::Cpu));
        inputs.put(name::LAST_NOISE, rng.normal(&[n, 1], Device::Cpu));
    }
    if asks.neighbours {
        // None is so near to an end that the logarithm bends within the difference.
        inputs.put(name::NEIGHBOURS, rng.normal(&[20, 1], Device::Cpu) + 6.0);
    }
    terms.gather(0, &mut inputs, rng);
    inputs
}

/// The example of every term, and noise that is a mixture or another model.
fn cases() -> Vec<(String, ObjectiveConfig)> {
    let place = Path::new("objective");
    let noise = ["{mixture: {components: 2}}", "{run: {path: another}}"].map(|noise| {
        let text = format!("{{nce: {{noise: {noise}, ratio: 2}}}}");
        (
            format!("nce, {noise}"),
            yaml::typed(yaml::parse(&text, place).unwrap(), place).unwrap(),
        )
    });
    ObjectiveConfig::examples().into_iter().chain(noise).collect()
}

/// What stands for the model of another run: a mixture of four wide Gaussians, which is not the truth.
fn another() -> Rc<dyn Density> {
    let place = Path::new("model");
    let text = "{gaussian-mixture: {input: [1], components: 4, spread: 1.5, std: 1.5}}";
    let model: ModelConfig = yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap();
    let model = model.build(Device::Cpu, &mut Stream::new(6, "another")).unwrap();
    model.density().unwrap()
}

/// The terms of an example, fitted to data of the truth.
fn terms(config: &ObjectiveConfig, rng: &mut Stream) -> Terms {
    let mut terms = config.build(Device::Cpu);
    terms.begin(&Space::of(&[1]), rng);
    let truth = Mixture::truth();
    let data = truth.given(&truth.classes(4000, rng), rng);
    terms.set_base(&another());
    terms.fit(&Images::unlabelled(data)).unwrap();
    terms
}

fn optimizer(text: &str) -> OptimizerConfig {
    let place = Path::new("optimizer");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
}

/// Learns the truth by a term; returns the mixture and the term.
fn learn(config: &ObjectiveConfig, key: &str) -> (Mixture, Terms) {
    const STEPS: usize = 1200;
    let rng = &mut Stream::new(1, key);
    let (model, terms) = (Mixture::start(), terms(config, rng));
    let parameters: Vec<(String, Tensor)> = model.parameters().into_iter().chain(terms.parameters()).collect();
    let mut optimizer = Optimizer::new(&optimizer("{algorithm: {adam: {}}, lr: 0.02}"), &parameters);
    let asks = config.asks();
    for step in 0..STEPS {
        let inputs = gather(&asks, &terms, &model, 600, rng);
        let pass = Pass::new(&model, &model, &inputs);
        optimizer.zero_grad();
        terms.loss(0, &pass, &inputs).value.backward();
        // Smaller steps towards the end let the noise of samples average out.
        optimizer.step(0.02 * (1.0 - step as f64 / STEPS as f64));
    }
    (model, terms)
}

fn grid() -> Tensor {
    Tensor::linspace(-6.0, 6.0, 2401, CPU).unsqueeze(1)
}

/// The masses of cells of the grid under exp(-E).
fn masses(energy: &Tensor) -> Tensor {
    energy.neg().softmax(0, Kind::Double)
}

/// Half of the sum of differences of masses.
fn total_variation(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().sum(Kind::Double).double_value(&[]) / 2.0
}

/// p(x) of the truth on the grid, smoothed by N(0, sigma^2).
fn smoothed_truth(sigma: f64) -> Tensor {
    let truth = Mixture::truth();
    let variances = [0.5f32, 0.8].map(|v| v + (sigma * sigma) as f32);
    let shares = Vec::<f32>::try_from(truth.shares()).unwrap();
    // b_y that gives the same shares at other variances.
    let bias = [0, 1].map(|y| 0.5 * variances[y].ln() - shares[y].ln());
    let wide = Mixture::of([-1.5, 1.0], variances, bias);
    masses(&Of(&wide, None).energy(&grid()).detach())
}

/// The mixture whose gradient misses the field of a term by the least, found by quadrature; none for a
/// term of densities.
fn least_miss(config: &ObjectiveConfig) -> Option<Mixture> {
    const STEPS: usize = 2000;
    let x = Tensor::linspace(-8.0, 8.0, 801, CPU).unsqueeze(1);
    let shares = Vec::<f64>::try_from(Mixture::truth().shares().to_kind(Kind::Double)).unwrap();
    let parts = [(shares[0], -1.5, 0.5), (shares[1], 1.0, 0.8)];
    let fall = |t: f64, from: f64| f64::min(1.0, (1.0 - t) / (1.0 - from));
    let (mass, field) = match (&config.flow_matching, &config.equilibrium_matching) {
        (Some(flow), _) => field(&parts, flow.std, &x, |t| [1.0, fall(t, flow.until)]),
        (_, Some(rest)) => field(&parts, rest.std, &x, |t| [rest.scale * fall(t, rest.decay), 1.0]),
        _ => return None,
    };
    let model = Mixture::start();
    let mut optimizer = Optimizer::new(&optimizer("{algorithm: {adam: {}}, lr: 0.02}"), &model.parameters());
    for step in 0..STEPS {
        let grad = energy_and_grad_with_graph(&Of(&model, None), &x).grad.view(-1);
        optimizer.zero_grad();
        ((grad - &field).square() * &mass).sum(Kind::Double).backward();
        optimizer.step(0.02 * (1.0 - step as f64 / STEPS as f64));
    }
    Some(model)
}

/// The worst total-variation distance of what the term says of the density.
fn distance(config: &ObjectiveConfig, model: &Mixture, due: Option<&Mixture>) -> f64 {
    let (asks, x, truth) = (config.asks(), grid(), Mixture::truth());
    let _guard = tch::no_grad_guard();
    let [ours, theirs] = [model, &truth].map(|m| m.logits(&x).to_kind(Kind::Double));
    let of_class = |logits: &Tensor, y: i64| masses(&logits.select(1, y).neg());
    let given = || {
        let of = |y| total_variation(&of_class(&ours, y), &of_class(&theirs, y));
        of(0).max(of(1))
    };
    match (asks.labels, asks.chain_classes) {
        // p(x), as far as the term's noise leaves it, or what the term's field makes of it.
        (false, _) => {
            if let Some(due) = due {
                let [ours, due] = [model, due].map(|m| masses(&Of(m, None).energy(&x)));
                return total_variation(&ours, &due);
            }
            let sigma = config.denoising.as_ref().map(|d| d.sigma);
            let sigma = sigma.or(config.multiscale.as_ref().map(|m| m.reference)).unwrap_or(0.0);
            total_variation(&masses(&Of(model, None).energy(&x)), &smoothed_truth(sigma))
        }
        // p(y|x), in the mean over the data.
        (true, None) => {
            let p = |logits: &Tensor| logits.softmax(1, Kind::Double).select(1, 0);
            let off = (p(&ours) - p(&theirs)).abs() * smoothed_truth(0.0);
            off.sum(Kind::Double).double_value(&[])
        }
        (true, Some(ChainClasses::Kept)) => given(),
        (true, _) => given().max(total_variation(&model.shares(), &truth.shares())),
    }
}

/// Terms that stand beside others have no minimum of their own.
fn stands_alone(config: &ObjectiveConfig) -> bool {
    let asks = config.asks();
    !asks.chain_end && !asks.generator
}

#[test]
fn each_term_recovers_a_known_density() {
    tch::set_num_threads(1);
    let all = cases();
    assert!(all.len() >= 8);
    for (key, config) in all.into_iter().filter(|(_, config)| stands_alone(config)) {
        let due = least_miss(&config);
        let before = distance(&config, &Mixture::start(), due.as_ref());
        let (model, terms) = learn(&config, &key);
        let found = distance(&config, &model, due.as_ref());
        println!("{key}: total variation {before:.3} before, {found:.4} after");
        assert!(before > 0.1 && found < 0.03, "{key}: {before} before, {found} after");
        if let Some((_, log_z)) = terms.parameters().iter().find(|(name, _)| name.ends_with("log_z")) {
            // The integral of exp(-E) over the grid, whose cells are 0.005 wide.
            let energy = Of(&model, None).energy(&grid()).detach().to_kind(Kind::Double);
            let exact = energy.neg().logsumexp(0, false).double_value(&[]) + 0.005f64.ln();
            assert!(
                (log_z.double_value(&[]) - exact).abs() < 0.05,
                "{key}: log Z {log_z}, {exact} is right"
            );
        }
    }
}

#[test]
fn each_gradient_is_that_of_finite_differences() {
    tch::set_num_threads(1);
    for (key, config) in cases() {
        let rng = &mut Stream::new(2, &key);
        let (model, terms) = (Mixture::start(), terms(&config, rng));
        let inputs = gather(&config.asks(), &terms, &model, 200, rng);
        let held = model.held();
        let loss = || terms.loss(0, &Pass::new(&model, &held, &inputs), &inputs).value;
        loss().backward();
        let own = terms.parameters();
        let (mut largest, mut worst) = (0f64, 0f64);
        for (_, p) in model.parameters().iter().chain(&own) {
            let (grad, flat) = (p.grad(), p.detach().view(-1));
            // What a term does not depend on has no gradient.
            let grad = if grad.defined() {
                grad.view(-1)
            } else {
                flat.zeros_like()
            };
            for i in 0..flat.size()[0] {
                let at = |shift: f64| {
                    let _guard = tch::no_grad_guard();
                    let _ = flat.narrow(0, i, 1).g_add_scalar_(shift);
                    let value = loss().double_value(&[]);
                    let _ = flat.narrow(0, i, 1).g_add_scalar_(-shift);
                    value
                };
                let h = 0.01;
                let quotient = (at(h) - at(-h)) / (2.0 * h);
                let found = grad.double_value(&[i]);
                largest = largest.max(quotient.abs());
                worst = worst.max((quotient - found).abs());
            }
        }
        println!("{key}: largest slope {largest:.4}, worst difference {worst:.1e}");
        // The curvature's own error at h = 0.01, and the rounding of f32 over 2 h.
        assert!(
            largest > 5e-3 && worst < 2e-3 * largest.max(0.02),
            "{key}: {worst} of {largest}"
        );
    }
}

/// E = x' A x / 2, whose second derivatives are A.
struct Quadratic(Tensor);

impl Energy for Quadratic {
    fn energy(&self, x: &Tensor) -> Tensor {
        let x = x.flatten(1, -1);
        (x.matmul(&self.0) * &x).sum_dim_intlist([1i64].as_slice(), false, Kind::Float) * 0.5
    }

    /// The same at every level.
    fn at_level(&self, _: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(Quadratic(self.0.shallow_clone())))
    }
}

/// A pass of it at a temperature.
struct Bowl<'a>(Quadratic, f64, &'a Inputs);

impl Passes for Bowl<'_> {
    fn energy(&self, input: &str) -> Tensor {
        self.0.energy(self.2.of(input))
    }

    fn logits(&self, _: &str) -> Tensor {
        unreachable!()
    }

    fn joint(&self, _: &str, _: &Tensor) -> Tensor {
        unreachable!()
    }

    fn live(&self) -> Box<dyn Energy + '_> {
        Box::new(&self.0)
    }

    fn held(&self) -> Box<dyn Energy + '_> {
        Box::new(&self.0)
    }

    fn chain_end(&self) -> Tensor {
        unreachable!()
    }

    fn temperature(&self) -> f64 {
        self.1
    }
}

/// Of a quadratic energy the trace is known: all directions give it, random signs its mean.
#[test]
fn exact_score_matching_takes_the_whole_trace() {
    tch::set_num_threads(1);
    let rng = &mut Stream::new(3, "trace");
    let a = Tensor::from_slice2(&[
        [3.0f32, 0.8, 0.0, 0.1],
        [0.8, 0.5, 0.2, 0.0],
        [0.0, 0.2, 7.0, -0.6],
        [0.1, 0.0, -0.6, 1.5],
    ]);
    let (t, x) = (2.5, rng.normal(&[5, 1, 2, 2], Device::Cpu));
    let score = x.flatten(1, -1).matmul(&a) / t;
    let half = score.square().sum(Kind::Double).double_value(&[]) / 5.0 / 2.0;
    let right = half - a.trace().double_value(&[]) / t;
    let value = |directions: &str, rng: &mut Stream| {
        let place = Path::new("objective");
        let tree = yaml::parse(&format!("{{sliced: {{directions: {directions}}}}}"), place).unwrap();
        let terms = yaml::typed::<ObjectiveConfig>(tree, place).unwrap().build(Device::Cpu);
        let mut inputs = Inputs::default();
        inputs.put(name::DATA, x.shallow_clone());
        terms.gather(0, &mut inputs, rng);
        let pass = Bowl(Quadratic(a.shallow_clone()), t, &inputs);
        terms.loss(0, &pass, &inputs).value.double_value(&[])
    };
    let exact = value("null", rng);
    assert!((exact - right).abs() < 1e-4, "{exact} for {right}");
    // The variance of a direction is twice the sum of the squares beside the diagonal, 4.2 / T^2, so
    // that the mean of 2,000 for 5 states has an error of 0.008.
    let mean = value("2000", rng);
    assert!((mean - right).abs() < 0.05, "{mean} for {right}");
}

/// For data N(0, v) and E = a x^2 / 2 the expectation of the term is a parabola in a, whose minimum is
/// 1 over reference^2 times the mean of (v + sigma^2) / sigma^2 over the levels.
#[test]
fn many_levels_of_noise_have_the_minimum_that_is_due() {
    tch::set_num_threads(1);
    const N: i64 = 200_000;
    let (v, low, high, reference, t): (f64, f64, f64, f64, f64) = (0.6, 0.2, 2.0, 0.5, 2.5);
    let place = Path::new("objective");
    let text = format!("{{multiscale: {{low: {low}, high: {high}, reference: {reference}}}}}");
    let terms = yaml::typed::<ObjectiveConfig>(yaml::parse(&text, place).unwrap(), place).unwrap();
    let terms = terms.build(Device::Cpu);
    let rng = &mut Stream::new(4, "levels");
    let mut inputs = Inputs::default();
    inputs.put(name::DATA, rng.normal(&[N, 1], Device::Cpu) * f64::sqrt(v));
    terms.gather(0, &mut inputs, rng);
    let value = |a: f64| {
        let bowl = Bowl(Quadratic(Tensor::from_slice2(&[[a as f32]])), t, &inputs);
        terms.loss(0, &bowl, &inputs).value.double_value(&[])
    };
    let level = |i: i64| low * (high / low).powf(i as f64 / (N - 1) as f64);
    let mean: f64 = (0..N).map(|i| v / level(i).powi(2) + 1.0).sum::<f64>() / N as f64;
    let due = t / (reference * reference * mean);
    // The minimum of the parabola through three values.
    let h = 0.5 * due;
    let [left, middle, right] = [due - h, due, due + h].map(value);
    let found = due + h * (left - right) / (2.0 * (left - 2.0 * middle + right));
    assert!((found / due - 1.0).abs() < 0.01, "{found} for {due}");
}

/// With a `count` every level is one of a geometric row, and all are drawn alike.
#[test]
fn levels_that_are_counted_are_drawn_alike() {
    let place = Path::new("objective");
    let text = "{noise-conditional: {low: 0.2, high: 3.2, count: 5}}";
    let terms = yaml::typed::<ObjectiveConfig>(yaml::parse(text, place).unwrap(), place).unwrap();
    let terms = terms.build(Device::Cpu);
    let mut inputs = Inputs::default();
    inputs.put(name::DATA, Tensor::zeros([500, 1], CPU));
    terms.gather(0, &mut inputs, &mut Stream::new(4, "levels"));
    let levels = Vec::<f32>::try_from(inputs.of("noise levels")).unwrap();
    for due in [0.2f32, 0.4, 0.8, 1.6, 3.2] {
        let found = levels.iter().filter(|level| (**level / due - 1.0).abs() < 1e-5).count();
        assert!((99..=101).contains(&found), "{found} of 500 at {due}");
    }
}

/// Levels are drawn as `focus` says, and weigh as `data_std` says: for data N(0, v) and E = a x^2 / 2 at every level
/// the least loss has a = T sum w sigma^2 / sum w sigma^2 (v + sigma^2).
#[test]
fn levels_are_drawn_and_weighed_as_they_are_due() {
    tch::set_num_threads(1);
    const N: i64 = 200_000;
    let (v, low, high, t): (f64, f64, f64, f64) = (0.6, 0.05, 4.0, 2.5);
    for (more, std, focus) in [
        ("", None, None),
        (", data_std: 0.7", Some(0.7), None),
        (
            ", data_std: 0.7, focus: {level: 0.8, spread: 1.2}",
            Some(0.7),
            Some((0.8, 1.2)),
        ),
    ] {
        let place = Path::new("objective");
        let text = format!("{{noise-conditional: {{low: {low}, high: {high}{more}}}}}");
        let terms = yaml::typed::<ObjectiveConfig>(yaml::parse(&text, place).unwrap(), place).unwrap();
        let terms = terms.build(Device::Cpu);
        let rng = &mut Stream::new(4, "levels");
        let mut inputs = Inputs::default();
        inputs.put(name::DATA, rng.normal(&[N, 1], Device::Cpu) * f64::sqrt(v));
        terms.gather(0, &mut inputs, rng);
        let levels = Vec::<f32>::try_from(inputs.of("noise levels")).unwrap();
        let levels: Vec<f64> = levels.into_iter().map(f64::from).collect();
        // The distribution of the logarithm, cut off at both ends.
        let whole = |level: f64| match focus {
            None => level.ln(),
            Some((at, spread)) => {
                0.5 * Tensor::from((level / at).ln() / spread / 2f64.sqrt())
                    .erf()
                    .double_value(&[])
            }
        };
        for at in [0.1, 0.3, 0.8, 2.0] {
            let due = (whole(at) - whole(low)) / (whole(high) - whole(low));
            let found = levels.iter().filter(|level| **level < at).count() as f64 / N as f64;
            assert!(
                (found - due).abs() < 3.0 / N as f64 + 1e-5,
                "{more}: {found} below {at}, {due} are due"
            );
        }
        let weight = |level: f64| std.map_or(1.0, |std: f64| 1.0 + (level / std).powi(2)) * level * level;
        let above: f64 = levels.iter().map(|level| weight(*level)).sum();
        let below: f64 = levels.iter().map(|level| weight(*level) * (v + level * level)).sum();
        let due = t * above / below;
        let value = |a: f64| {
            let bowl = Bowl(Quadratic(Tensor::from_slice2(&[[a as f32]])), t, &inputs);
            terms.loss(0, &bowl, &inputs).value.double_value(&[])
        };
        let h = 0.5 * due;
        let [left, middle, right] = [due - h, due, due + h].map(value);
        let found = due + h * (left - right) / (2.0 * (left - 2.0 * middle + right));
        assert!((found / due - 1.0).abs() < 0.02, "{more}: {found} for {due}");
    }
}

/// The formula of the energy discrepancy, number by number, without its stabiliser and with it.
#[test]
fn the_energy_discrepancy_is_that_of_its_formula() {
    tch::set_num_threads(1);
    let a = Tensor::from_slice2(&[[2.0f32, 0.3], [0.3, 0.7]]);
    let (t, samples, n) = (2.5, 3usize, 4usize);
    for stabiliser in [0.0, 2.0] {
        let place = Path::new("objective");
        let text = format!("{{energy-discrepancy: {{sigma: 0.8, samples: {samples}, stabiliser: {stabiliser}}}}}");
        let terms = yaml::typed::<ObjectiveConfig>(yaml::parse(&text, place).unwrap(), place).unwrap();
        let terms = terms.build(Device::Cpu);
        let rng = &mut Stream::new(5, "discrepancy");
        let mut inputs = Inputs::default();
        inputs.put(name::DATA, rng.normal(&[n as i64, 2], Device::Cpu));
        terms.gather(0, &mut inputs, rng);
        let pass = Bowl(Quadratic(a.shallow_clone()), t, &inputs);
        let found = terms.loss(0, &pass, &inputs).value.double_value(&[]);
        let energies = |input: &str| Vec::<f32>::try_from(pass.energy(input)).unwrap();
        let (data, moved) = (energies(name::DATA), energies("moved data"));
        let each = data.iter().zip(moved.chunks(samples)).map(|(e, others)| {
            let sum: f64 = others.iter().map(|o| (f64::from(e - o) / t).exp()).sum();
            ((stabiliser + sum) / samples as f64).ln()
        });
        let due = each.sum::<f64>() / n as f64;
        assert!((found - due).abs() < 1e-5, "{found} for {due}");
    }
}
