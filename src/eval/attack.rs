//! Attacks on a classifier by projected gradient descent in a ball around each image.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Defence;
use crate::energy::{Energy, energy_and_grad};
use crate::rng::Stream;

/// How the distance from an image is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// The largest change of a number.
    Linf,
    /// The Euclidean length of the change.
    L2,
}

/// What the attack differentiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// The classifier alone, as if there were no defence.
    Classifier,
    /// The whole defence, every step of its chains.
    Defence,
}

/// Projected gradient descent (Madry et al. 2018) on the log odds against the true class, which lead where its
/// cross-entropy does but are never flat.
///
/// Lengths are in the units of images in [0, 1], as papers give them; images here are in [-1, 1], so that they count
/// twice.
#[derive(Debug, Clone)]
pub struct Attack {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball, in units of [0, 1].
    pub epsilon: f64,
    /// Steps from each start.
    pub steps: usize,
    /// The length of a step, in units of [0, 1]; null means 2.5 epsilon / steps.
    pub step_size: Option<f64>,
    /// How many random starts in the ball.
    pub restarts: usize,
    /// What the gradient is taken of.
    pub through: Through,
    /// Over how many draws of the defence's noise a gradient, and a candidate's loss, is averaged (expectation over
    /// transformation, Athalye et al. 2018).
    pub draws: usize,
}

/// The worst that was found for each image.
#[derive(Debug)]
pub struct Attacked {
    /// `[B,C,H,W]`: of all candidates that are misclassified the one of the highest loss; without one, the one of the
    /// highest loss among all.
    pub images: Tensor,
    /// Whether a candidate was misclassified, `[B]`, bool.
    pub fooled: Tensor,
    /// The log odds against the true class of the candidate kept, `[B]`, f32.
    pub loss: Tensor,
}

impl Attacked {
    /// Nothing found yet.
    fn none(x: &Tensor) -> Self {
        let (n, device) = (x.size()[0], x.device());
        Self {
            images: x.copy(),
            fooled: Tensor::zeros([n], (Kind::Bool, device)),
            loss: Tensor::full([n], f64::NEG_INFINITY, (Kind::Float, device)),
        }
    }

    fn select(&self, at: &Tensor) -> Self {
        let of = |t: &Tensor| t.index_select(0, at);
        Self {
            images: of(&self.images),
            fooled: of(&self.fooled),
            loss: of(&self.loss),
        }
    }

    fn put(&mut self, at: &Tensor, part: &Self) {
        let _ = self.images.index_copy_(0, at, &part.images);
        let _ = self.fooled.index_copy_(0, at, &part.fooled);
        let _ = self.loss.index_copy_(0, at, &part.loss);
    }
}

/// Attacks a batch of images `[B,C,H,W]` in [-1, 1] of the classes `labels` `[B]`.
///
/// The images themselves, what `known` holds (from a smaller ball, say), and every step of every restart are
/// candidates. A restart depends on `rng`, its number and what was found before it, so more restarts never find less.
/// An image that is found is left out of further restarts, unless the defence draws noise: candidates are then compared
/// by draws that the attack has seen, and the outcome is to be judged by others.
pub fn attack(
    attack: &Attack,
    defence: &Defence,
    x: &Tensor,
    labels: &Tensor,
    known: Option<&Attacked>,
    rng: &Stream,
) -> Attacked {
    let mut best = Attacked::none(x);
    let all = Search::new(attack, defence, x, labels);
    all.consider(&mut best, x, &mut rng.derive(0));
    if let Some(known) = known {
        all.consider(&mut best, &known.images, &mut rng.derive(0));
    }
    for restart in 1..=attack.restarts as u64 {
        let left = match defence.is_random() {
            true => Tensor::ones_like(&best.fooled),
            false => best.fooled.logical_not(),
        };
        let at = left.nonzero().squeeze_dim(1);
        if at.numel() == 0 {
            break;
        }
        let (x, labels) = (x.index_select(0, &at), labels.index_select(0, &at));
        let mut part = best.select(&at);
        Search::new(attack, defence, &x, &labels).restart(&mut part, &mut rng.derive(restart));
        best.put(&at, &part);
    }
    best
}

/// One attack on one batch.
struct Search<'a> {
    attack: &'a Attack,
    defence: &'a Defence<'a>,
    x: &'a Tensor,
    labels: &'a Tensor,
}

impl<'a> Search<'a> {
    fn new(attack: &'a Attack, defence: &'a Defence<'a>, x: &'a Tensor, labels: &'a Tensor) -> Self {
        Self {
            attack,
            defence,
            x,
            labels,
        }
    }

    /// The radius in the units of the images.
    fn radius(&self) -> f64 {
        2.0 * self.attack.epsilon
    }

    fn step_size(&self) -> f64 {
        let own = self.attack.step_size.map(|s| 2.0 * s);
        own.unwrap_or(2.5 * self.radius() / self.attack.steps.max(1) as f64)
    }

    fn restart(&self, best: &mut Attacked, rng: &mut Stream) {
        let mut at = self.projected(&(self.x + self.start(rng)));
        self.consider(best, &at, rng);
        for _ in 0..self.attack.steps {
            let loss = Minus(RefCell::new(rng), self);
            let uphill = energy_and_grad(&loss, &at).grad.neg();
            at = self.projected(&(&at + self.direction(&uphill) * self.step_size()));
            self.consider(best, &at, rng);
        }
    }

    /// A point that is uniform in the ball.
    fn start(&self, rng: &mut Stream) -> Tensor {
        let (size, device) = (self.x.size(), self.x.device());
        match self.attack.norm {
            Norm::Linf => rng.uniform(&size, -self.radius(), self.radius(), device),
            Norm::L2 => {
                let direction = unit(&rng.normal(&size, device));
                let numbers = size[1..].iter().product::<i64>() as f64;
                let share = rng.uniform(&[size[0], 1, 1, 1], 0.0, 1.0, device);
                direction * share.pow_tensor_scalar(1.0 / numbers) * self.radius()
            }
        }
    }

    /// The direction of steepest ascent of length 1 in the attack's norm; 0 where there is no slope.
    fn direction(&self, grad: &Tensor) -> Tensor {
        match self.attack.norm {
            Norm::Linf => grad.sign(),
            Norm::L2 => unit(grad),
        }
    }

    /// The nearest point of the ball, and of it the nearest in [-1, 1], which is nearer still.
    fn projected(&self, at: &Tensor) -> Tensor {
        let radius = self.radius();
        let inside = match self.attack.norm {
            Norm::Linf => at.maximum(&(self.x - radius)).minimum(&(self.x + radius)),
            Norm::L2 => {
                let away = at - self.x;
                let least = f64::from(f32::MIN_POSITIVE);
                let factor = (length(&away).clamp_min(least).reciprocal() * radius).clamp_max(1.0);
                self.x + away * factor
            }
        };
        inside.clamp(-1.0, 1.0)
    }

    /// Keeps, of each image, the candidate if it is worse for the defence than what is kept.
    fn consider(&self, best: &mut Attacked, at: &Tensor, rng: &mut Stream) {
        let _guard = tch::no_grad_guard();
        let draws: Vec<Tensor> = (0..self.draws()).map(|_| self.defence.logits(at, rng)).collect();
        let mean = |of: &[Tensor]| Tensor::stack(of, 0).mean_dim([0i64].as_slice(), false, Kind::Float);
        let losses: Vec<Tensor> = draws.iter().map(|logits| log_odds(logits, self.labels)).collect();
        let loss = mean(&losses);
        let log_probs: Vec<Tensor> = draws.iter().map(|logits| logits.log_softmax(1, Kind::Float)).collect();
        let fooled = mean(&log_probs).argmax(1, false).ne_tensor(self.labels);
        let newly = fooled.logical_and(&best.fooled.logical_not());
        let worse = fooled.eq_tensor(&best.fooled).logical_and(&loss.gt_tensor(&best.loss));
        let take = newly.logical_or(&worse);
        best.images = at.where_self(&take.view([-1, 1, 1, 1]), &best.images);
        best.loss = loss.where_self(&take, &best.loss);
        best.fooled = best.fooled.logical_or(&fooled);
    }

    /// The loss `[B]` of what the attack differentiates, in a graph.
    fn loss(&self, at: &Tensor, rng: &mut Stream) -> Tensor {
        let loss = |logits: Tensor| log_odds(&logits, self.labels);
        if self.attack.through == Through::Classifier {
            return loss(self.defence.plain_logits(at));
        }
        let losses = (0..self.draws()).map(|_| loss(self.defence.logits_with_graph(at, rng)));
        losses.reduce(|a, b| a + b).expect("an attack has a draw") / self.draws() as f64
    }

    /// How many draws there are to average over.
    fn draws(&self) -> usize {
        if self.defence.is_random() { self.attack.draws } else { 1 }
    }
}

/// log((1 - p_y) / p_y) of logits `[B,K]` and classes `[B]`, `[B]`: the log odds against the true class.
///
/// The cross-entropy is its softplus, so both rise in the same direction; but this one has a slope where the classifier
/// is so certain that the cross-entropy's is lost to rounding.
fn log_odds(logits: &Tensor, labels: &Tensor) -> Tensor {
    let at = labels.unsqueeze(1);
    let others = logits.scatter_value(1, &at, f64::NEG_INFINITY).logsumexp(1, false);
    others - logits.gather(1, &at, false).squeeze_dim(1)
}

/// Minus the loss, as an energy: low where the attack wants to be.
struct Minus<'a, 'b>(RefCell<&'a mut Stream>, &'a Search<'b>);

impl Energy for Minus<'_, '_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.1.loss(x, &mut self.0.borrow_mut()).neg()
    }
}

/// The Euclidean length of each image, `[B,1,1,1]`.
fn length(t: &Tensor) -> Tensor {
    t.norm_scalaropt_dim(2.0, [1, 2, 3], true)
}

/// Each image brought to length 1; 0 stays 0. Scaled first, since squares of small slopes would vanish.
fn unit(t: &Tensor) -> Tensor {
    let least = f64::from(f32::MIN_POSITIVE);
    let scaled = t / t.abs().amax([1i64, 2, 3].as_slice(), true).clamp_min(least);
    &scaled / length(&scaled).clamp_min(least)
}
