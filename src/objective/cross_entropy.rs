//! The classifier's own loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::asks::Asks;
use super::contract::{Loss, Objective, ObjectiveSpec, Passes, Quantity};
use super::inputs::{Inputs, name};
use crate::config::Checker;
use crate::error::Result;

/// Minus log p(y|x), the cross entropy of labelled states. With `contrastive` beside it, both of
/// weight 1, this is JEM (Grathwohl et al. 2020); alone it is a plain classifier.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossEntropy {
    /// What multiplies the term.
    pub weight: f64,
    /// The share of a label that is spread evenly over all classes (Szegedy et al. 2016).
    pub label_smoothing: f64,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self {
            weight: 1.0,
            label_smoothing: 0.0,
        }
    }
}

impl ObjectiveSpec for CrossEntropy {
    fn check(&self, c: &Checker) -> Result<()> {
        c.ensure(
            (0.0..1.0).contains(&self.label_smoothing),
            "label_smoothing",
            self.label_smoothing,
            "a number from 0 to below 1",
        )
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn asks(&self) -> Asks {
        Asks {
            labels: true,
            passes: vec![name::LABELLED],
            ..Asks::default()
        }
    }

    fn build(&self, _: Device) -> Box<dyn Objective> {
        Box::new(self.clone())
    }

    fn example() -> Self {
        Self::default()
    }
}

/// What terms of labels report beside their loss.
pub(super) const ACCURACY: &str = "the share of the step's labelled states that is classified right";

impl Objective for CrossEntropy {
    fn quantities(&self) -> Vec<Quantity> {
        let meaning = "of the step's labelled states, as the training network sees them";
        vec![
            Quantity::always("cross_entropy", meaning),
            Quantity::always("accuracy", ACCURACY),
        ]
    }

    fn loss(&self, passes: &dyn Passes, inputs: &Inputs) -> Loss {
        let (logits, classes) = (passes.logits(name::LABELLED), inputs.of(name::LABELS));
        let value = cross_entropy(&logits, classes, self.label_smoothing);
        Loss {
            parts: vec![
                ("cross_entropy", value.detach()),
                ("accuracy", accuracy(&logits, classes)),
            ],
            watched: Vec::new(),
            value,
        }
    }

    fn reports_loss(&self) -> Option<&'static str> {
        Some("cross_entropy")
    }
}

/// The mean cross entropy of logits `[B,K]` and classes `[B]` (i64), a share `smoothing` of each label spread evenly
/// over all classes (Szegedy et al. 2016), `[]`.
pub fn cross_entropy(logits: &Tensor, classes: &Tensor, smoothing: f64) -> Tensor {
    logits.cross_entropy_loss(classes, None::<&Tensor>, tch::Reduction::Mean, -100, smoothing)
}

/// The share of logits `[B,K]` whose largest is that of the class, `[]`.
pub(super) fn accuracy(logits: &Tensor, classes: &Tensor) -> Tensor {
    let right = logits.argmax(1, false).eq_tensor(classes);
    right.to_kind(Kind::Float).mean(Kind::Float)
}
