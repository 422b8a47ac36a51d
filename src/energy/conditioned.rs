//! The energy of a model under a condition.

use std::cell::Cell;

use tch::Tensor;

use super::condition::weight_at;
use super::{Condition, Energy, EnergyGrad, Identity, Outputs, Stages, energy_and_grad};

/// The energy that a model's outputs stand for where something is given: E(x), E(x,y), or between.
#[derive(Debug)]
pub struct Conditioned<'a> {
    of: &'a dyn Outputs,
    condition: Condition<'a>,
    /// The weight of the second class, of a way between two.
    weight: Cell<f64>,
    /// The level of noise, `[]` or `[B]`; none is the lowest of a model that has levels.
    level: Option<Tensor>,
}

impl<'a> Conditioned<'a> {
    /// The energy of these outputs under this condition; the weight of a second class is 0 until it
    /// is set.
    ///
    /// # Panics
    /// A class is given, and there are no logits.
    pub fn new(of: &'a dyn Outputs, condition: Condition<'a>) -> Self {
        let classes = of.classes().is_some() || !condition.needs_classes();
        assert!(classes, "a model without classes has no E(x,y)");
        Self {
            of,
            condition,
            weight: Cell::new(0.0),
            level: None,
        }
    }

    /// The same at levels of noise, `[]` or `[B]`; none of a model without levels.
    pub fn at(&self, sigma: &Tensor) -> Option<Self> {
        self.of.levels()?;
        Some(Self {
            of: self.of,
            condition: self.condition,
            weight: self.weight.clone(),
            level: Some(sigma.shallow_clone()),
        })
    }

    /// The same as an energy of its own.
    pub fn into_level(self, sigma: &Tensor) -> Option<Box<dyn Energy + 'a>> {
        Some(Box::new(self.at(sigma)?))
    }

    /// The raw outputs of states from number `first` on.
    fn raw(&self, x: &Tensor, first: i64) -> Tensor {
        match &self.level {
            Some(level) => self.of.raw_at(x, &of_states(level, first, x)),
            None => self.of.raw(x),
        }
    }

    /// Sets w, from 0 (all of E(x,a)) to 1 (all of E(x,b)), for the energies that follow.
    pub fn set_weight(&self, weight: f64) {
        self.weight.set(weight);
    }

    /// What the outputs themselves add to the energy; `first` is the number of the first state.
    fn bare(&self, raw: Tensor, first: i64) -> Tensor {
        let of_class = self.condition.of_logits(&raw, first, self.weight.get());
        of_class.unwrap_or_else(|| self.of.head().bare(raw))
    }

    /// Energies and gradients of states from number `first` on, by the model's own way.
    fn direct_from(&self, x: &Tensor, first: i64) -> Option<EnergyGrad> {
        let (head, w) = (self.of.head(), self.weight.get());
        let slope = |raw: &Tensor, within: i64| {
            let of_class = self.condition.of_logits_with_gradient(raw, first + within, w);
            of_class.unwrap_or_else(|| head.bare_with_gradient(raw))
        };
        match &self.level {
            Some(level) => self.of.gradient_at(x, &of_states(level, first, x), &slope),
            None => self.of.gradient(x, &slope),
        }
    }

    /// The same part by part, where memory is to be that of a part.
    fn by_parts(&self, x: &Tensor, most: i64) -> EnergyGrad {
        let states = x.size()[0];
        let of_part = |first: i64| {
            let part = x.narrow(0, first, most.min(states - first));
            self.direct_from(&part, first)
                .unwrap_or_else(|| energy_and_grad(&Part { whole: self, first }, &part))
        };
        let found = (0..states).step_by(most as usize).map(of_part);
        let (energies, grads): (Vec<Tensor>, Vec<Tensor>) = found.map(|f| (f.energy, f.grad)).unzip();
        let _guard = tch::no_grad_guard();
        EnergyGrad {
            energy: Tensor::cat(&energies, 0),
            grad: Tensor::cat(&grads, 0),
        }
    }
}

impl<'a> dyn Outputs + 'a {
    /// The energy where that is given beside the states.
    ///
    /// # Panics
    /// A class is given, and there are no logits.
    pub fn given<'b>(&'b self, condition: Condition<'b>) -> Conditioned<'b> {
        Conditioned::new(self, condition)
    }

    /// E(x).
    pub fn any(&self) -> Conditioned<'_> {
        Conditioned::new(self, Condition::Any)
    }
}

/// The levels of the states `x`, the first of which is number `first` of the batch.
fn of_states(level: &Tensor, first: i64, x: &Tensor) -> Tensor {
    match level.numel() {
        1 => level.shallow_clone(),
        _ => level.narrow(0, first, x.size()[0]),
    }
}

/// What a part of a batch adds to the energy, its reference apart.
struct Part<'a> {
    whole: &'a Conditioned<'a>,
    first: i64,
}

impl Energy for Part<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.whole.bare(self.whole.raw(x, self.first), self.first)
    }

    fn draws(&self) -> bool {
        self.whole.draws()
    }
}

impl Energy for Conditioned<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.of.head().with_reference(self.bare(self.raw(x, 0), 0), x)
    }

    fn direct(&self, x: &Tensor) -> Option<EnergyGrad> {
        let found = match self.of.most().filter(|most| *most < x.size()[0]) {
            Some(most) => self.by_parts(x, most),
            None => self.direct_from(x, 0)?,
        };
        let _guard = tch::no_grad_guard();
        Some(self.of.head().with_reference_and_gradient(found, x))
    }

    fn stages(&self) -> Option<&dyn Stages> {
        (self.of.head().is_bare() && self.of.cut().is_some()).then_some(self)
    }

    fn at_level(&self, sigma: &Tensor) -> Option<Box<dyn Energy + '_>> {
        Some(Box::new(self.at(sigma)?))
    }

    fn draws(&self) -> bool {
        matches!(self.condition, Condition::Drawn) || self.of.is_random()
    }

    fn prepare(&self, k: usize, n: usize) {
        if self.changes() {
            self.set_weight(weight_at(k, n));
        }
    }

    fn changes(&self) -> bool {
        matches!(self.condition, Condition::Between { .. })
    }

    fn identity(&self) -> Option<Identity> {
        let Identity { mut words, mut reads } = self.of.identify()?;
        if let Some(level) = &self.level {
            words += " at a level";
            reads.push(level.shallow_clone());
        }
        match self.condition {
            Condition::Any => Some(Identity { words, reads }),
            Condition::Class(classes) => {
                reads.push(classes.shallow_clone());
                Some(Identity {
                    words: format!("{words} of classes"),
                    reads,
                })
            }
            Condition::Between { .. } | Condition::Drawn => None,
        }
    }
}

impl Stages for Conditioned<'_> {
    fn first(&self, x: &Tensor) -> Tensor {
        self.of.cut().expect("asked for before").first(x)
    }

    fn rest(&self, h: &Tensor) -> Tensor {
        self.bare(self.of.cut().expect("asked for before").rest(h), 0)
    }
}
