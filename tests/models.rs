//! All kinds of models through one test: what is frozen is what is live, gradients are those of
//! finite differences, and parameters come and go by name.

use std::collections::BTreeMap;
use std::path::Path;

use ebm::config::yaml;
use ebm::energy::{Condition, Energy, energy_and_grad};
use ebm::eval::{grid, log_density_grid};
use ebm::models::{Form, Model, ModelConfig};
use ebm::nn::Mode;
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

fn parsed(text: &str) -> ModelConfig {
    let place = Path::new("model");
    yaml::typed(yaml::parse(text, place).unwrap(), place).unwrap()
}

/// Every kind, and more of what a kind can be.
fn all() -> Vec<ModelConfig> {
    let more = [
        "{gaussian-mixture: {input: [1, 2, 3], components: 2}}",
        "{name: classes, input: [2], output: logits, layers: [linear: {out: 8}, silu, linear: {out: 3}]}",
        "{name: reference, input: [2], output: negative-energy, reference_std: 1.5, layers: [linear: {out: 4}, silu, linear: {out: 1}]}",
    ];
    let mut all = ModelConfig::examples();
    let of_classes: Vec<ModelConfig> = all.iter().filter_map(with_classes).collect();
    all.extend(of_classes);
    all.extend(more.map(parsed));
    all
}

/// The same with classes, of a kind that has such a key.
fn with_classes(config: &ModelConfig) -> Option<ModelConfig> {
    let mut tree = yaml::to_value(config);
    let kind = tree.as_mapping()?.keys().next()?.as_str()?.to_owned();
    *tree[kind.as_str()].get_mut("classes")? = true.into();
    Some(yaml::typed(tree, Path::new("with classes")).unwrap())
}

/// A model with parameters that are all unequal, and states for it.
fn built(config: &ModelConfig) -> (Box<dyn Model>, Tensor) {
    let mut rng = Stream::new(1, "init");
    let model = config.build(Device::Cpu, &mut rng).unwrap();
    shift(&*model, &mut rng);
    let x = rng.normal(&config.space().batch(7), Device::Cpu);
    (model, x)
}

/// Moves every parameter a little.
fn shift(model: &dyn Model, rng: &mut Stream) {
    let _guard = tch::no_grad_guard();
    for (_, t) in model.parameters() {
        let _ = t.shallow_clone().g_add_(&(rng.normal(&t.size(), Device::Cpu) * 0.2));
    }
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    let scale = b.abs().max().double_value(&[]).max(1.0);
    (a - b).abs().max().double_value(&[]) / scale
}

const FORM: fn() -> Form = || Form::plain(0.8);

#[test]
fn a_frozen_copy_is_the_live_model_until_that_moves() {
    for config in all() {
        let (model, x) = built(&config);
        let mut frozen = model.freeze(FORM());
        let live = |model: &dyn Model| model.live(FORM()).any().energy(&x).detach();
        let before = live(&*model);
        let held = |frozen: &dyn ebm::models::FrozenModel| frozen.outputs().any().energy(&x).detach();
        assert!(far(&held(&*frozen), &before) < 1e-6, "{config:?}");
        let reads = |frozen: &dyn ebm::models::FrozenModel| -> Option<Vec<usize>> {
            let identity = frozen.outputs().any().identity()?;
            Some(identity.reads.iter().map(|t| t.data_ptr() as usize).collect())
        };
        let places = reads(&*frozen);
        shift(&*model, &mut Stream::new(2, "shift"));
        assert!(
            far(&held(&*frozen), &before) < 1e-6,
            "a copy does not follow by itself: {config:?}"
        );
        assert!(far(&live(&*model), &before) > 1e-3, "{config:?}");
        frozen.refresh(&*model);
        assert!(far(&held(&*frozen), &live(&*model)) < 1e-6, "{config:?}");
        assert_eq!(
            reads(&*frozen),
            places,
            "a refreshed copy stays in its memory: {config:?}"
        );
    }
}

/// What a recorded step is told that the energy reads is what the energy depends on.
#[test]
fn an_energy_depends_on_each_tensor_that_it_says_it_reads() {
    for config in all() {
        let (model, x) = built(&config);
        let frozen = model.freeze(FORM());
        let energy = frozen.outputs().any();
        let before = energy.energy(&x);
        for tensor in energy.identity().map(|identity| identity.reads).unwrap_or_default() {
            let kept = tensor.copy();
            let other = Stream::new(3, "other").uniform(&tensor.size(), 0.2, 0.9, Device::Cpu);
            let _ = tensor.shallow_clone().g_add_(&other);
            assert!(far(&energy.energy(&x), &before) > 0.0, "{config:?}");
            tensor.shallow_clone().copy_(&kept);
        }
    }
}

/// What a state may be given, for models with and without classes.
fn conditions(model: &dyn Model) -> &'static [&'static str] {
    match model.classes() {
        Some(_) => &["any", "class", "between"],
        None => &["any"],
    }
}

fn condition<'a>(word: &str, classes: &'a [Tensor; 2]) -> Condition<'a> {
    match word {
        "class" => Condition::Class(&classes[0]),
        "between" => Condition::Between {
            from: &classes[0],
            to: &classes[1],
        },
        _ => Condition::Any,
    }
}

#[test]
fn gradients_in_states_are_those_of_finite_differences() {
    // Any model of classes here has three at least.
    let classes = [[0i64, 1, 2, 2, 1, 0, 1], [2, 0, 0, 2, 1, 1, 0]].map(|c| Tensor::from_slice(&c));
    for config in all() {
        let (model, x) = built(&config);
        let frozen = model.freeze(FORM());
        let parts = model.freeze(Form {
            most: Some(3),
            ..FORM()
        });
        for word in conditions(&*model) {
            let [whole, parts] = [&frozen, &parts].map(|f| {
                let energy = f.outputs().given(condition(word, &classes));
                energy.set_weight(0.3);
                energy
            });
            let found = energy_and_grad(&whole, &x);
            let apart = energy_and_grad(&parts, &x);
            assert!(far(&apart.grad, &found.grad) < 1e-5, "in parts: {word} {config:?}");
            assert!(far(&apart.energy, &found.energy) < 1e-5, "in parts: {word} {config:?}");
            let direction = Stream::new(4, "direction").normal(&x.size(), Device::Cpu);
            let eps = 1e-2;
            let at = |by: f64| whole.energy(&(&x + &direction * by)).to_kind(Kind::Double);
            let slope = (at(eps) - at(-eps)) / (2.0 * eps);
            let product = ebm::space::sum_each(&(&found.grad * &direction)).to_kind(Kind::Double);
            assert!(far(&product, &slope) < 2e-3, "{word} {config:?}: {product} {slope}");
        }
    }
}

#[test]
fn gradients_in_parameters_are_those_of_finite_differences() {
    for config in all() {
        let (model, x) = built(&config);
        let form = Form {
            mode: Mode::Train,
            ..FORM()
        };
        let weights = Tensor::from_slice(&[1.0f32, -0.5, 0.25, 0.7, 0.1, -0.3, 0.9]);
        let loss = || (model.live(form).any().energy(&x) * &weights).sum(Kind::Float);
        loss().backward();
        for (i, (name, parameter)) in model.parameters().iter().enumerate() {
            let direction = Stream::new(5, "direction")
                .derive(i as u64)
                .normal(&parameter.size(), Device::Cpu);
            let at = |by: f64| {
                let _guard = tch::no_grad_guard();
                let _ = parameter.shallow_clone().g_add_(&(&direction * by));
                let value = loss().double_value(&[]);
                let _ = parameter.shallow_clone().g_sub_(&(&direction * by));
                value
            };
            let eps = 1e-2;
            let slope = (at(eps) - at(-eps)) / (2.0 * eps);
            let product = (parameter.grad() * &direction).sum(Kind::Double).double_value(&[]);
            assert!(
                (product - slope).abs() < 3e-3 * slope.abs().max(1.0),
                "{name} of {config:?}: {product} {slope}"
            );
        }
    }
}

/// E(x) = -logsumexp_y -E(x,y), for every model of classes.
#[test]
fn the_marginal_sums_over_the_classes() {
    let mut seen = 0;
    for config in all().into_iter().filter(ModelConfig::has_classes) {
        let (model, x) = built(&config);
        let frozen = model.freeze(FORM());
        let joint = |class: i64| {
            let classes = Tensor::full([7], class, (Kind::Int64, Device::Cpu));
            frozen.outputs().given(Condition::Class(&classes)).energy(&x)
        };
        let all: Vec<Tensor> = (0..model.classes().unwrap()).map(joint).collect();
        let summed = Tensor::stack(&all, 1).neg().logsumexp(1, false).neg();
        assert!(far(&frozen.outputs().any().energy(&x), &summed) < 1e-6, "{config:?}");
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn a_state_is_loaded_whole_or_not_at_all() {
    for config in all() {
        let (model, x) = built(&config);
        let energy = |model: &dyn Model| model.live(FORM()).any().energy(&x).detach();
        let state: BTreeMap<String, Tensor> = model.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        let other = config.build(Device::Cpu, &mut Stream::new(9, "init")).unwrap();
        let before = energy(&*other);
        let mut short = state.clone_names();
        short.pop_last();
        let refused = other.load(&short, "a file").unwrap_err().to_string();
        assert!(refused.contains("a file"), "{refused}");
        assert!(far(&energy(&*other), &before) == 0.0, "nothing was copied: {config:?}");
        other.load(&state, "a file").unwrap();
        assert!(far(&energy(&*other), &energy(&*model)) < 1e-6, "{config:?}");
        let copy = model.another(Device::Cpu).unwrap();
        copy.load(&state, "a copy").unwrap();
        shift(&*copy, &mut Stream::new(6, "shift"));
        assert!(
            far(&energy(&*model), &energy(&*other)) < 1e-6,
            "a copy has memory of its own: {config:?}"
        );
    }
}

trait CloneNames {
    fn clone_names(&self) -> Self;
}

impl CloneNames for BTreeMap<String, Tensor> {
    fn clone_names(&self) -> Self {
        self.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect()
    }
}

#[test]
fn a_model_is_written_as_it_is_read() {
    for config in all() {
        let text = yaml::to_text(&config);
        assert_eq!(parsed(&text), config, "{text}");
        let summary = config.describe(Path::new("model")).unwrap();
        let (model, _) = built(&config);
        let numbers: usize = model.parameters().iter().map(|(_, t)| t.numel()).sum();
        assert_eq!(summary.params as usize, numbers, "{config:?}");
        assert_eq!(model.space(), config.space());
        assert_eq!(model.classes().is_some(), config.has_classes());
    }
}

/// 0.3 N(-1, 0.5^2) + 0.7 N(1, 0.8^2) in the plane, by hand.
#[test]
fn a_mixture_is_its_closed_form_and_integrates_to_one() {
    let config = parsed("{gaussian-mixture: {input: [2], components: 2}}");
    let model = config.build(Device::Cpu, &mut Stream::new(0, "init")).unwrap();
    let values = [
        (
            "log_weights",
            Tensor::from_slice(&[0.3f32.ln() + 5.0, 0.7f32.ln() + 5.0]),
        ),
        ("means", Tensor::from_slice(&[-1.0f32, 0.5, 1.0, -0.25]).view([2, 2])),
        (
            "log_stds",
            Tensor::from_slice(&[0.5f32, 0.4, 0.8, 0.6]).log().view([2, 2]),
        ),
    ];
    let state = values.map(|(name, t)| (name.to_owned(), t)).into_iter().collect();
    model.load(&state, "by hand").unwrap();
    let frozen = model.freeze(Form::plain(1.0));
    let energy = frozen.outputs().any();
    let normal =
        |x: f64, m: f64, s: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / (s * (2.0 * std::f64::consts::PI).sqrt());
    let density = |[x, y]: [f64; 2]| {
        0.3 * normal(x, -1.0, 0.5) * normal(y, 0.5, 0.4) + 0.7 * normal(x, 1.0, 0.8) * normal(y, -0.25, 0.6)
    };
    for [x, y] in [[0.0f32, 0.0], [-1.2, 0.9], [2.5, -2.0], [6.0, 6.0]] {
        let found = energy
            .energy(&Tensor::from_slice(&[x, y]).view([1, 2]))
            .double_value(&[0]);
        let want = -density([x.into(), y.into()]).ln();
        assert!((found - want).abs() < 1e-5 * want.abs().max(1.0), "{found} {want}");
    }
    // A cell of the grid has the area (8 / 200)^2.
    let points = grid(200, Device::Cpu);
    let mass = energy.energy(&points).neg().exp().sum(Kind::Double).double_value(&[]) * (8.0f64 / 200.0).powi(2);
    assert!((mass - 1.0).abs() < 1e-3, "{mass}");
    drop(log_density_grid(&energy, 1.0, 8, Device::Cpu).unwrap());
}
