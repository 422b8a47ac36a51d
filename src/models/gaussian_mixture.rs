//! A mixture of Gaussians: an energy whose density is known with its constant.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::contract::{Form, FrozenModel, Model, ModelSpec};
use super::density::Density;
use crate::config::Checker;
use crate::energy::{Head, Identity, Outputs, draw_classes};
use crate::error::Result;
use crate::files;
use crate::nn::{Output, Row, Summary};
use crate::rng::Stream;
use crate::space::Space;

/// p(x) = sum_k pi_k N(x; mu_k, diag(sigma_k^2)), as the energy E(x) = -log p(x).
///
/// exp(-E) integrates to 1, so log Z = 0 at temperature 1: what other energies and estimates of log
/// Z can be held against. With `classes` each component is a class, and E(x,y) = -log pi_y -
/// log N(x; mu_y, diag(sigma_y^2)): Gaussian discriminant analysis with diagonal covariances.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianMixture {
    /// The shape of a state: channels, height and width of an image, or `[D]` for points of D numbers.
    pub input: Vec<i64>,
    /// How many Gaussians.
    pub components: i64,
    /// Whether each is a class, so that the model gives logits f(x)\[y\] = log pi_y + log N(x; y).
    #[serde(default)]
    pub classes: bool,
    /// The standard deviation of the means at the start; they are normal around 0.
    #[serde(default = "crate::config::one")]
    pub spread: f64,
    /// The standard deviation of each component at the start.
    #[serde(default = "crate::config::one")]
    pub std: f64,
}

/// The names of its tensors.
const NAMES: [&str; 3] = ["log_weights", "means", "log_stds"];

impl GaussianMixture {
    /// Numbers of a state.
    fn dimension(&self) -> i64 {
        self.input.iter().product()
    }

    /// The shapes of its tensors.
    fn shapes(&self) -> [Vec<i64>; 3] {
        let (k, d) = (self.components, self.dimension());
        [vec![k], vec![k, d], vec![k, d]]
    }

    fn output(&self) -> Output {
        match self.classes {
            true => Output::Logits,
            false => Output::Energy,
        }
    }
}

impl ModelSpec for GaussianMixture {
    fn name(&self) -> &str {
        "gaussian-mixture"
    }

    fn input(&self) -> &[i64] {
        &self.input
    }

    fn has_classes(&self) -> bool {
        self.classes
    }

    fn describe(&self, file: &Path) -> Result<Summary> {
        let c = &Checker::of(file).at("gaussian-mixture");
        let most = 1 << 24;
        let numbers = self.input.iter().try_fold(1i64, |product, n| product.checked_mul(*n));
        let positive = [1, 3].contains(&self.input.len()) && self.input.iter().all(|n| *n > 0);
        c.ensure(
            positive && numbers.is_some_and(|n| n <= most),
            "input",
            format!("{:?}", self.input),
            "whole numbers above 0: [D] of points, or [channels, height, width] of images",
        )?;
        c.ensure(
            (1..=1 << 20).contains(&self.components),
            "components",
            self.components,
            "a whole number from 1 to 1048576",
        )?;
        c.positive("spread", self.spread)?;
        c.positive("std", self.std)?;
        let row = |(name, shape): (&str, Vec<i64>)| {
            let params = shape.iter().map(|n| *n as u64).fold(1, u64::saturating_mul);
            Row {
                name: name.into(),
                what: "parameter".into(),
                params,
                macs: if shape.len() > 1 { params } else { 0 },
                output: shape,
            }
        };
        let rows: Vec<Row> = NAMES.into_iter().zip(self.shapes()).map(row).collect();
        let sum = |of: fn(&Row) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
        Ok(Summary {
            input: self.input.clone(),
            params: sum(|row| row.params),
            macs: sum(|row| row.macs),
            output: vec![if self.classes { self.components } else { 1 }],
            widest: (self.components as u64).saturating_mul(self.dimension() as u64),
            rows,
        })
    }

    fn words(&self) -> String {
        match self.classes {
            true => " -> logits log pi_y + log N(x; y), a component each; E(x) = -logsumexp f(x)".into(),
            false => " -> one energy E(x) = -log p(x), low = likely".into(),
        }
    }

    fn build(&self, device: Device, rng: &mut Stream) -> Result<Box<dyn Model>> {
        self.describe(Path::new(self.name()))?;
        let [weights, means, stds] = self.shapes();
        let cpu = (Kind::Float, Device::Cpu);
        let starts = [
            Tensor::zeros(weights, cpu),
            rng.normal(&means, Device::Cpu) * self.spread,
            Tensor::full(stds, self.std.ln(), cpu),
        ];
        Ok(Box::new(Mixture::new(self, device, starts)))
    }

    fn example() -> Self {
        Self {
            input: vec![2],
            components: 4,
            classes: false,
            spread: 1.5,
            std: 1.0,
        }
    }
}

/// A mixture with its parameters.
#[derive(Debug)]
struct Mixture {
    config: GaussianMixture,
    device: Device,
    parameters: Vec<(String, Tensor)>,
}

impl Mixture {
    fn new(config: &GaussianMixture, device: Device, starts: [Tensor; 3]) -> Self {
        let trained = |t: Tensor| t.to_device(device).set_requires_grad(true);
        let names = NAMES.into_iter().map(str::to_owned);
        Self {
            config: config.clone(),
            device,
            parameters: names.zip(starts.into_iter().map(trained)).collect(),
        }
    }

    fn view(&self) -> [&Tensor; 3] {
        [0, 1, 2].map(|i| &self.parameters[i].1)
    }

    fn densities(&self, form: Form, take: impl Fn(&Tensor) -> Tensor) -> Densities {
        Densities {
            of: self.view().map(take),
            head: Head::new(self.config.output(), form.temperature),
            most: form.most,
        }
    }
}

impl Model for Mixture {
    fn space(&self) -> Space {
        Space::of(&self.config.input)
    }

    fn device(&self) -> Device {
        self.device
    }

    fn classes(&self) -> Option<i64> {
        self.config.classes.then_some(self.config.components)
    }

    fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// The root of the largest mean square of a component's number.
    fn reach(&self) -> Option<f64> {
        let [_, means, log_stds] = self.view();
        let squares = means.square() + (log_stds * 2.0).exp();
        Some(squares.max().double_value(&[]).sqrt())
    }

    fn density(&self) -> Option<Rc<dyn Density>> {
        Some(Rc::new(self.densities(Form::plain(1.0), |t| t.detach().copy())))
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let detached = |(name, t): &(String, Tensor)| (name.clone(), t.detach());
        self.parameters.iter().map(detached).collect()
    }

    fn load(&self, named: &BTreeMap<String, Tensor>, place: &str) -> Result<()> {
        files::check_same(&self.state(), named, place)?;
        files::ensure_finite(named, place)?;
        self.state()
            .into_iter()
            .for_each(|(name, mut t)| t.copy_(&named[&name]));
        Ok(())
    }

    fn another(&self, device: Device) -> Result<Box<dyn Model>> {
        let copy = self.view().map(Tensor::detach).map(|t| t.copy());
        Ok(Box::new(Self::new(&self.config, device, copy)))
    }

    fn live(&self, form: Form) -> Box<dyn Outputs + '_> {
        Box::new(self.densities(form, Tensor::shallow_clone))
    }

    fn freeze(&self, form: Form) -> Box<dyn FrozenModel> {
        Box::new(self.densities(form, |t| t.detach().copy()))
    }
}

/// log pi_k + log N(x; k) of parameters that are live, or a copy.
#[derive(Debug)]
struct Densities {
    of: [Tensor; 3],
    head: Head,
    most: Option<usize>,
}

impl Densities {
    /// f32 `[B,K]` of states `[B,..]`.
    fn logits(&self, x: &Tensor) -> Tensor {
        let [weights, means, log_stds] = &self.of;
        let x = x.flatten(1, -1).unsqueeze(1);
        let z = (x - means) * log_stds.neg().exp();
        let constant = 0.5 * (2.0 * std::f64::consts::PI).ln();
        let each = z.square() * -0.5 - log_stds - constant;
        each.sum_dim_intlist([2i64].as_slice(), false, Kind::Float) + weights.log_softmax(0, Kind::Float)
    }
}

impl Outputs for Densities {
    fn head(&self) -> Head {
        self.head
    }

    fn raw(&self, x: &Tensor) -> Tensor {
        match self.classes() {
            Some(_) => self.logits(x),
            None => self.logits(x).logsumexp(1, false).neg(),
        }
    }

    fn classes(&self) -> Option<i64> {
        self.head.of_logits().then(|| self.of[0].size()[0])
    }

    fn most(&self) -> Option<i64> {
        self.most.map(|n| n as i64)
    }

    fn identify(&self) -> Option<Identity> {
        Some(Identity {
            words: format!("gaussian-mixture {:?}", self.head),
            reads: self.of.iter().map(Tensor::shallow_clone).collect(),
        })
    }
}

impl Density for Densities {
    fn log(&self, x: &Tensor) -> Tensor {
        self.logits(x).logsumexp(1, false)
    }

    fn draw(&self, size: &[i64], device: Device, rng: &mut Stream) -> Tensor {
        let [weights, means, log_stds] = &self.of;
        let z = rng.normal(size, device).flatten(1, -1);
        let gumbel = rng.gumbel(&[size[0], weights.size()[0]], device);
        let of = draw_classes(&weights.unsqueeze(0).expand_as(&gumbel), &gumbel);
        let [means, stds] = [means, &log_stds.exp()].map(|t| t.index_select(0, &of));
        (z * stds + means).view(size)
    }
}

impl FrozenModel for Densities {
    fn refresh(&mut self, model: &dyn Model) {
        let _guard = tch::no_grad_guard();
        for (own, (_, live)) in self.of.iter_mut().zip(model.parameters()) {
            own.copy_(live);
        }
    }
}
