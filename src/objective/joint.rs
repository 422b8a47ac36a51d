//! The joint objective: minus log p(x), p(y|x), p(x|y) and p(x,y), weighted, from the energies of
//! one step.

use tch::{Kind, Tensor};

use super::MaximumLikelihood;
use super::config::ObjectiveConfig;
use crate::energy::marginal;

/// What one step's passes gave; a term whose weight is 0 may be absent.
#[derive(Debug, Default)]
pub struct Terms {
    /// E(x+) of data and E(x-) of synthesised images, `[B]` each; the batches may differ in size.
    pub marginal: Option<[Tensor; 2]>,
    /// E(x+,y+) of labelled images and E(x-,y-) of chains, `[B]` each: of chains that keep their
    /// class for p(x|y), of chains that draw it for p(x,y).
    pub pairs: Option<[Tensor; 2]>,
    /// Logits `[B,K]` and classes `[B]` (i64) of labelled images.
    pub labelled: Option<[Tensor; 2]>,
    /// The energy that the last step of the chains reaches, `[]`, differentiable through that step.
    pub kl: Option<Tensor>,
    /// Minus the mean log distance to the nearest neighbour, `[]`, differentiable through the last step.
    pub entropy: Option<Tensor>,
}

/// The loss of a step and what it is made of.
#[derive(Debug)]
pub struct JointLoss {
    /// What is minimised, `[]`.
    pub loss: Tensor,
    /// Its parts by name, `[]` each, detached: energies, cross entropy, accuracy.
    pub parts: Vec<(&'static str, Tensor)>,
}

/// p_x_weight L(x) + p_y_given_x_weight CE(y|x) + (p_x_given_y_weight + p_x_y_weight) L(x,y) + the
/// improved-CD terms.
///
/// L is [`MaximumLikelihood`], of the energies E(x) or E(x,y); of the two weights of L(x,y) the
/// chains allow one. CE is the cross entropy of labelled images with smoothed labels. With the
/// first two weights at 1 this is JEM (Grathwohl et al. 2020); with the second alone a plain
/// classifier.
///
/// With y- drawn from p(y|x-), the gradient of L(x,y) is in expectation that of L(x) plus CE, as
/// -log p(x,y) = -log p(x) - log p(y|x) asks. With the classes of x- in the shares of the labels and kept
/// along the chains it is that of -log p(x|y), which leaves p(y) alone.
#[derive(Debug, Clone)]
pub struct JointObjective {
    cfg: ObjectiveConfig,
    likelihood: MaximumLikelihood,
}

impl JointObjective {
    /// The objective of a configuration.
    pub fn new(cfg: &ObjectiveConfig) -> Self {
        Self {
            cfg: cfg.clone(),
            likelihood: MaximumLikelihood::new(cfg),
        }
    }

    /// The loss of a step.
    ///
    /// # Panics
    /// If there is no term at all.
    pub fn loss(&self, terms: &Terms) -> JointLoss {
        let mut sum = Sum::default();
        if let Some([pos, neg]) = &terms.marginal {
            let out = self.likelihood.loss(pos, neg);
            sum.add(out.loss, self.cfg.p_x_weight);
            sum.parts
                .extend([("energy_pos", out.energy_pos), ("energy_neg", out.energy_neg)]);
        }
        if let Some([logits, classes]) = &terms.labelled {
            self.add_labelled(logits, classes, &mut sum);
            // What every step shows of data, before chains begin and where none run.
            if terms.marginal.is_none() {
                let energy = marginal(&logits.detach()).mean(Kind::Float);
                sum.parts.push(("energy_pos", energy));
            }
        }
        if let Some([pos, neg]) = &terms.pairs {
            let out = self.likelihood.loss(pos, neg);
            sum.add(out.loss, self.cfg.p_x_given_y_weight + self.cfg.p_x_y_weight);
            let parts = [
                ("joint_energy_pos", out.energy_pos),
                ("joint_energy_neg", out.energy_neg),
            ];
            sum.parts.extend(parts);
        }
        let extra = [
            ("kl", &terms.kl, self.cfg.kl_weight),
            ("entropy", &terms.entropy, self.cfg.entropy_weight),
        ];
        for (name, term, weight) in extra {
            if let Some(term) = term {
                sum.add(term.shallow_clone(), weight);
                sum.parts.push((name, term.detach()));
            }
        }
        JointLoss {
            loss: sum.loss.expect("a step has a term"),
            parts: sum.parts,
        }
    }

    fn add_labelled(&self, logits: &Tensor, classes: &Tensor, sum: &mut Sum) {
        if self.cfg.p_y_given_x_weight > 0.0 {
            let loss = cross_entropy(logits, classes, self.cfg.label_smoothing);
            sum.parts.push(("cross_entropy", loss.detach()));
            sum.add(loss, self.cfg.p_y_given_x_weight);
        }
        let right = logits.argmax(1, false).eq_tensor(classes);
        sum.parts
            .push(("accuracy", right.to_kind(Kind::Float).mean(Kind::Float)));
    }
}

/// The mean cross entropy of logits `[B,K]` and classes `[B]` (i64), a share `smoothing` of each label spread evenly
/// over all classes (Szegedy et al. 2016), `[]`.
pub fn cross_entropy(logits: &Tensor, classes: &Tensor, smoothing: f64) -> Tensor {
    logits.cross_entropy_loss(classes, None::<&Tensor>, tch::Reduction::Mean, -100, smoothing)
}

/// A weighted sum that grows term by term.
#[derive(Default)]
struct Sum {
    loss: Option<Tensor>,
    parts: Vec<(&'static str, Tensor)>,
}

impl Sum {
    fn add(&mut self, term: Tensor, weight: f64) {
        // A weight of 1 is left out, so that a plain objective is computed as it reads.
        let term = if weight == 1.0 { term } else { term * weight };
        self.loss = Some(match self.loss.take() {
            None => term,
            Some(loss) => loss + term,
        });
    }
}
